"""Retention settings: intervals of copies, and terms in Postgres and in the lake."""

from __future__ import annotations

from dataclasses import dataclass

from shared.runtime.settings import FromEnvironment, integer


@dataclass(frozen=True, slots=True)
class Terms(FromEnvironment):
    """Retention terms of Postgres and the lake (0: forever), and the interval of copies.

    `state_s` 0: the live state is copied only when somebody asks.
    """

    tick_hours: int = integer("KEEP_TICKS_H", 24, 0, 1_000_000)
    candle_days: int = integer("KEEP_CANDLES_D", 30, 0, 1_000_000)
    snapshot_s: int = integer("SNAPSHOT_S", 60, 1, 86_400)
    snapshot_hours: int = integer("KEEP_SNAPSHOTS_H", 24, 1, 100_000)
    state_s: int = integer("STATE_SNAPSHOT_S", 300, 0, 86_400)
    state_days: int = integer("KEEP_STATE_D", 7, 0, 1_000_000)
    lake_days: int = integer("KEEP_LAKE_D", 0, 0, 1_000_000)
