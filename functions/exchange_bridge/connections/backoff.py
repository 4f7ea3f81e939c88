"""Backoff between attempts to connect; pure: randomness and durations are parameters."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from websockets.exceptions import InvalidStatus

from functions.exchange_bridge.rest import RATE_LIMITED, wait_s

FIRST_S: Final = 0.1
STEADY_S: Final = 5.0
"""A subscribed connection that lived so long starts the pauses from the shortest again."""


@dataclass(slots=True)
class Pauses:
    """Doubling pauses up to `longest_s`, with jitter, counted from the attempt's begin to the next.

    So an attempt that hung until its timeout is followed by the next at once: after it is back, an
    exchange waits for no pause on top of that.
    """

    longest_s: float
    chance: Callable[[float, float], float] = random.uniform
    _failures: int = 0

    def reset(self) -> None:
        """Begin with the shortest again."""
        self._failures = 0

    def after(self, error: BaseException, lasted_s: float, *, was_connected: bool) -> float:
        """Return the pause after an attempt that ended by `error`, `lasted_s` after it began."""
        if was_connected and lasted_s >= STEADY_S:
            self.reset()
        jitter = self.chance(0.5, 1.0)
        pause_s: float = min(FIRST_S * 2 ** min(self._failures, 16), self.longest_s) * jitter
        self._failures += 1
        return max(pause_s - lasted_s, FIRST_S * jitter, asked_s(error))


def asked_s(error: BaseException) -> float:
    """Return how long the exchange asks to stay away, where it refused a connection for that."""
    if isinstance(error, InvalidStatus) and error.response.status_code in RATE_LIMITED:
        return wait_s(error.response.headers)
    return 0.0
