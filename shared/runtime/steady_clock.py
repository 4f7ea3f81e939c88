"""Clock that never goes back, for what is ordered or timed by one process."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable


class SteadyClock:
    """Microseconds since 1970 UTC by the wall clock; may be called from any thread.

    Where that is set back, it goes on at half the rate of time until the wall clock has caught up.
    """

    def __init__(
        self,
        wall_ns: Callable[[], int] = time.time_ns,
        monotonic_ns: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self._wall_ns, self._monotonic_ns = wall_ns, monotonic_ns
        self._now_ns, self._at_ns = wall_ns(), monotonic_ns()
        self._lock = threading.Lock()

    def __call__(self) -> int:
        """Return the time."""
        with self._lock:
            at_ns = self._monotonic_ns()
            self._now_ns = max(self._wall_ns(), self._now_ns + (at_ns - self._at_ns) // 2)
            self._at_ns = at_ns
            return self._now_ns // 1000
