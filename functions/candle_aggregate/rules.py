"""Aggregation rules: the settings that every part of the stage shares."""

from __future__ import annotations

from dataclasses import dataclass

from shared.market.timeframes import Timeframe


@dataclass(frozen=True, slots=True)
class Rules:
    """Aggregation rules. `ladder`: the base timeframe first. Times in microseconds.

    `marker_ms`: life of a marker once Postgres has recorded its event. `keep_us`: how long a block
    of closed candles stays in the state untouched. `unused_us`: how long the record of an
    instrument stays that nobody sends; 0: forever. `shards`: how many states the instruments are
    divided among.
    """

    ladder: tuple[Timeframe, ...]
    allowed_lateness_us: int
    idle_us: int
    marker_ms: int
    keep_us: int = 600_000_000
    unused_us: int = 0
    shards: int = 16

    @property
    def base(self) -> Timeframe:
        """The timeframe that the others are folds of."""
        return self.ladder[0]

    @property
    def made_for(self) -> tuple[str, int]:
        """Name of the layout: another ladder or number of shards needs another state."""
        return ",".join(each.name for each in self.ladder), self.shards

    def timeframe(self, name: str) -> Timeframe:
        """Return the timeframe of the ladder, or one that was in it before."""
        return next((t for t in self.ladder if t.name == name), None) or Timeframe.parse(name)
