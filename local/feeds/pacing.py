"""Pacing: send at the ticks' own times, within the receiver's rate."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Callable
from typing import Final

BURST_S: Final = 0.005
"""How much of a second's lines may go out at once. Sleeps are not exact below a millisecond, so
datagrams leave in bursts; a default receive buffer (208 KiB) holds some ninety full ones, and five
milliseconds at the default limit are about fifteen."""

WORTH_SLEEPING_S: Final = 0.001

Clock = Callable[[], float]
Sleep = Callable[[float], object]


def speed_factor(text: str) -> float:
    """Return the factor of `max` (infinity), `1x`, `10x`, `0.5x`.

    Raises ValueError with the valid forms.
    """
    if text == "max":
        return math.inf
    match = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?|\.[0-9]+)x", text, re.ASCII)
    if match is None or not 0 < float(match[1]) < math.inf:
        raise ValueError(f"{text!r} is not a speed; try max, 1x, 10x or 0.5x")
    return float(match[1])


class EventTimePacer:
    """Computes delays so that ticks are sent as far apart as their event times."""

    def __init__(self, factor: float, clock: Clock = time.monotonic) -> None:
        self._factor = factor
        self._clock = clock
        self._start: tuple[float, int] | None = None

    def delay_s(self, time_ms: int | None) -> float:
        """Return the seconds until a tick of `time_ms` is due: 0 if it is, or has no time.

        A tick older than its predecessor is due at once, as when it was recorded.
        """
        if time_ms is None or math.isinf(self._factor):
            return 0.0
        now = self._clock()
        if self._start is None:
            self._start = (now, time_ms)
            return 0.0
        start, first_ms = self._start
        due = start + (time_ms - first_ms) / 1000 / self._factor
        return max(due - now, 0.0)


class RateLimiter:
    """Limits a sender to a rate of lines in small bursts, by sleeping."""

    def __init__(
        self, lines_per_s: float, clock: Clock = time.monotonic, sleep: Sleep = time.sleep
    ) -> None:
        """0 lines a second means no limit."""
        self._lines_per_s = lines_per_s
        self._clock = clock
        self._sleep = sleep
        self._due: float | None = None

    def spend(self, lines: int) -> None:
        """Count sent `lines`, and sleep until more may follow."""
        if self._lines_per_s <= 0:
            return
        now = self._clock()
        # Unused time is not saved up: that would allow a burst later.
        earliest = now - BURST_S
        due = earliest if self._due is None else max(self._due, earliest)
        self._due = due + lines / self._lines_per_s
        if (ahead := self._due - now) >= WORTH_SLEEPING_S:
            self._sleep(ahead)
