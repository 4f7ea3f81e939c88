"""Aggregation rules: the settings that every part of the stage shares."""

from __future__ import annotations

from dataclasses import dataclass

from shared.market.shards import DEFAULT_SHARDS, MAX_SHARDS
from shared.market.timeframes import DEFAULT_LADDER, Timeframe, parse_ladder
from shared.runtime.settings import FromEnvironment, integer, parsed


@dataclass(frozen=True, slots=True)
class Rules(FromEnvironment):
    """Aggregation rules. `ladder`: the base timeframe first. Times in microseconds.

    `marker_ms`: life of a marker once Postgres has recorded its event. `keep_us`: how long a block
    of closed candles stays in the state untouched. `unused_us`: how long the record of an
    instrument stays that nobody sends; 0: forever. `shards`: how many states the instruments are
    divided among.
    """

    ladder: tuple[Timeframe, ...] = parsed("TIMEFRAMES", DEFAULT_LADDER, parse_ladder)
    allowed_lateness_us: int = integer("ALLOWED_LATENESS_MS", 2_000, 0, 3_600_000, times=1000)
    idle_us: int = integer("IDLE_MS", 5_000, 100, 3_600_000, times=1000)
    marker_ms: int = integer("MARKER_TTL_S", 600, 60, 30 * 86_400, times=1000)
    keep_us: int = integer("KEEP_S", 600, 1, 30 * 86_400, times=1_000_000)
    unused_us: int = integer("KEEP_INSTRUMENTS_D", 90, 0, 100_000, times=86_400_000_000)
    shards: int = integer("SHARDS", DEFAULT_SHARDS, 1, MAX_SHARDS)

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
