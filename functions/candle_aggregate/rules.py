"""How candles are made: the settings that every part of the stage shares."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from shared.timeframes import Timeframe

COUNTER_BITS: Final = 32
"""Revision = epoch x 2^32 + counter, so that whatever a later epoch says outranks the earlier."""


@dataclass(frozen=True, slots=True)
class Rules:
    """How candles are made. `ladder`: the base timeframe first. Times in microseconds.

    `marker_ms`: life of a marker once Postgres knows what it says. `keep_us`: how long a closed
    candle stays in the state untouched. `shards`: how many states the instruments are divided
    among.
    """

    ladder: tuple[Timeframe, ...]
    allowed_lateness_us: int
    idle_us: int
    marker_ms: int
    keep_us: int = 600_000_000
    shards: int = 1

    def timeframe(self, name: str) -> Timeframe:
        """Return the timeframe of the ladder, or one that was in it before."""
        return next((t for t in self.ladder if t.name == name), None) or Timeframe.parse(name)
