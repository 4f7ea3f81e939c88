"""Open candles for display: the newest state of each, at most so often. Best effort by design.

What a process holds back here is lost with it, and nothing is missed but a moment on a screen: the
next tick, or the closed candle, says it again.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable

from shared.candle import CandleState


class Conflation:
    """Lets an instrument and timeframe through once in `every_us`; 0 lets nothing through."""

    def __init__(self, every_us: int) -> None:
        self._every_us = every_us
        self._pending: dict[tuple[str, str], CandleState] = {}
        self._next_us: dict[tuple[str, str], int] = {}
        self._lock = threading.Lock()

    def offer(self, states: Iterable[CandleState], now_us: int) -> list[CandleState]:
        """Take changed candles; return the open ones whose turn it is, earlier ones included.

        Of an instrument and timeframe only the candle that begins last is shown while it is open.
        """
        if not self._every_us:
            return []
        with self._lock:
            for state in states:
                place = (state.instrument, state.timeframe)
                known = self._pending.get(place)
                if known is None or (state.start_us, state.revision) >= (
                    known.start_us,
                    known.revision,
                ):
                    self._pending[place] = state
            due = [place for place in self._pending if self._next_us.get(place, 0) <= now_us]
            for place in due:
                self._next_us[place] = now_us + self._every_us
            taken = [self._pending.pop(place) for place in due]
        return [state for state in taken if not state.closed]
