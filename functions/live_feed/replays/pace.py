"""Replay clock: scaled wall time that can be paused and moved."""

from __future__ import annotations

import time
from collections.abc import Callable


class Pace:
    """Time in microseconds since 1970, from `from_us` on. `clock`: seconds, monotonic."""

    def __init__(
        self, from_us: int, speed: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._clock = clock
        self._at_us = from_us
        self._since_s: float | None = clock()
        self.speed = speed

    def now_us(self) -> int:
        """Return the current replay time."""
        if self._since_s is None:
            return self._at_us
        return self._at_us + int((self._clock() - self._since_s) * self.speed * 1e6)

    def hold(self) -> None:
        """Stand still."""
        self._at_us, self._since_s = self.now_us(), None

    def go(self, speed: float | None = None, at_us: int | None = None) -> None:
        """Resume, at another time or speed if given."""
        self._at_us = self.now_us() if at_us is None else at_us
        self._since_s = self._clock()
        self.speed = self.speed if speed is None else speed
