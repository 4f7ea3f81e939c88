"""Warm-up: loads TA-Lib and the lake's libraries after readiness, before a reader needs them."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Final

_AFTER_S: Final = 2.0
"""Processes that start at the same time are ready by then."""


class WarmUp:
    """Readiness check; after its first success a background thread runs `work`, once."""

    def __init__(
        self,
        ready: Callable[[], None],
        *work: Callable[[], object],
        after_s: float = _AFTER_S,
    ) -> None:
        self._ready = ready
        self._timer = threading.Timer(after_s, lambda: [each() for each in work])
        self._timer.daemon = True
        self._started = threading.Lock()

    def __call__(self) -> None:
        """Check. Raises TransientError."""
        self._ready()
        if self._started.acquire(blocking=False):
            self._timer.start()
