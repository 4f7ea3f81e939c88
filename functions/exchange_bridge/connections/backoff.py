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
"""A subscribed connection that lasted this long resets the backoff."""


@dataclass(slots=True)
class Backoff:
    """Exponential backoff with jitter up to `longest_s`, from one attempt's start to the next.

    So an attempt that hung until its timeout is followed by the next at once.
    """

    longest_s: float
    chance: Callable[[float, float], float] = random.uniform
    _failures: int = 0

    def reset(self) -> None:
        """Reset to the shortest pause."""
        self._failures = 0

    def after(self, error: BaseException, lasted_s: float, *, was_connected: bool) -> float:
        """Return the pause after an attempt that failed with `error` after `lasted_s`."""
        if was_connected and lasted_s >= STEADY_S:
            self.reset()
        jitter = self.chance(0.5, 1.0)
        pause_s: float = min(FIRST_S * 2 ** min(self._failures, 16), self.longest_s) * jitter
        self._failures += 1
        return max(pause_s - lasted_s, FIRST_S * jitter, retry_after_s(error))


def retry_after_s(error: BaseException) -> float:
    """Return the Retry-After of a refused connection, if it has one."""
    if isinstance(error, InvalidStatus) and error.response.status_code in RATE_LIMITED:
        return wait_s(error.response.headers)
    return 0.0
