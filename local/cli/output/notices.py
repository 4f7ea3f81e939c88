"""Notices: lines printed at once, above a live display."""

from __future__ import annotations

import time
from collections.abc import Callable

from rich.console import Console

REPEAT_AFTER_S = 30.0
"""Interval after which the same line is printed again, with its count."""


class Notices:
    """Prints notices. Frequent ones are counted so as not to drown the others."""

    def __init__(self, console: Console, clock: Callable[[], float] = time.monotonic) -> None:
        self.console = console
        self._clock = clock
        self._printed: dict[str, float] = {}
        self._held_back: dict[str, int] = {}

    def __call__(self, text: str) -> None:
        """Print a line, or count it if it was printed recently."""
        now = self._clock()
        if now - self._printed.get(text, -REPEAT_AFTER_S) < REPEAT_AFTER_S:
            self._held_back[text] = self._held_back.get(text, 0) + 1
            return
        self._printed[text] = now
        times = self._held_back.pop(text, 0)
        repeats = f" ({times} times more in the last moments)" if times else ""
        self.console.print(f"! {text}{repeats}", style="bold yellow", markup=False, soft_wrap=True)
