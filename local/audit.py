"""Audit: stored and live candles compared with a recomputation from stored ticks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, fields
from typing import Final, NamedTuple

import redis
from psycopg import Connection

from shared.candles.folds import KeyedRecords, flagged, rolled_up
from shared.lake.reading.cold import Cold
from shared.market.timeframes import Timeframe
from shared.reading.recompute import recomputed
from shared.reading.stored_candles import Ranges, read_candles
from shared.realtime.readers import LiveState
from shared.stores.first_ticks import beginnings, first_ticks
from shared.wire.candle import VENUE, Candle, CandleKey

COMPARED: Final = tuple(
    each.name
    for each in fields(Candle)
    if each.name not in ("instrument", "timeframe", "start_us", "closed", "complete", "revision")
)
_SHOWN: Final = {"trade_count": "trades"}
"""Display names of fields that are named differently in Postgres and on the wire."""


class Stores(NamedTuple):
    """Stores of ticks and candles, and how the candles are made."""

    postgres: Connection
    redis: redis.Redis
    cold: Cold
    ladder: tuple[Timeframe, ...]
    shards: int


class Batch(NamedTuple):
    """Instruments, and a range of times (us): the candles that overlap [from_us, to_us)."""

    names: Sequence[str]
    from_us: int
    to_us: int


@dataclass(frozen=True, slots=True)
class Difference:
    """A candle that differs from its ticks: `found` None: missing; `expected` None: no ticks."""

    key: CandleKey
    found: Candle | None
    expected: Candle | None

    def values(self) -> Iterator[tuple[str, object, object]]:
        """Yield (name, found, expected) of each differing field, if both candles exist."""
        if self.found is not None and self.expected is not None:
            for name in COMPARED:
                actual, expected = getattr(self.found, name), getattr(self.expected, name)
                if actual != expected:
                    yield _SHOWN.get(name, name), actual, expected


def grows(before: Difference, now: Difference) -> bool:
    """Whether an open candle moved on from what was stored at the first check.

    It and its ticks are never read atomically, so it can be compared only once it stands still.
    """
    if before.expected is None or now.found is None or now.found.closed:
        return False
    count = before.found.trade_count if before.found is not None else 0
    return now.found.trade_count > count and now.found.trade_count >= before.expected.trade_count


@dataclass(slots=True)
class Audited:
    """Result of an audit. `of_venue`: candles published by the venue, without ticks.

    `growing`: open candles that cannot be compared yet.
    """

    candles: int = 0
    of_venue: int = 0
    growing: int = 0
    trades: int = 0
    differences: list[Difference] = field(default_factory=list)


def audit(stores: Stores, batch: Batch, timeframes: Sequence[Timeframe]) -> dict[str, Audited]:
    """Compare the stored and live candles of the batch, by instrument.

    Raises TransientError while Redis is away, psycopg.Error while Postgres is.
    """
    ladder = tuple(sorted(timeframes))
    base = LiveState.of(stores.redis, stores.shards).ladder[0]
    stored = stored_candles(stores, batch, ladder)
    expected = truth(stores.postgres, stores.cold, batch, base, ladder)
    results = {name: Audited() for name in batch.names}
    for key in sorted(stored.keys() | expected.keys(), key=lambda key: (key[2], key[1])):
        actual, reference = stored.get(key), expected.get(key)
        result = results[key[0]]
        if actual is not None and actual.origin == VENUE:
            result.of_venue += 1
            continue
        result.candles += 1
        if reference is not None and key[1] == ladder[0].name:
            result.trades += reference.trade_count
        if (
            actual is None
            or reference is None
            or any(getattr(actual, name) != getattr(reference, name) for name in COMPARED)
        ):
            result.differences.append(Difference(key, actual, reference))
    return results


def truth(
    connection: Connection, cold: Cold, batch: Batch, base: Timeframe, ladder: Sequence[Timeframe]
) -> dict[CandleKey, Candle]:
    """Recompute the candles of the batch: base candles from ticks, longer ones folded."""
    names, from_us, to_us = batch
    candles: dict[CandleKey, Candle] = {}
    first_us = min(timeframe.start_us(from_us) for timeframe in ladder)
    last_us = max(timeframe.next_us(timeframe.start_us(to_us - 1)) for timeframe in ladder)
    with connection.transaction():  # keeps the plan of hot and cold data valid
        first_tick_us, since_us = first_ticks(connection, names), beginnings(connection, names)
        parts = [*recomputed(connection, names, first_us, last_us, base, cold)]
    if not parts:
        return candles
    merged = KeyedRecords.of(parts)
    for timeframe in ladder:
        rolled = rolled_up(merged, timeframe)
        starts = rolled.start_us
        rolled = rolled.at((timeframe.start_us(from_us) <= starts) & (starts < to_us))
        begun_us = first_tick_us if timeframe == base else since_us
        flagged(rolled, timeframe, begun_us[rolled.instrument])
        for candle in rolled.columns(timeframe.name, names).candles():
            candles[candle.instrument, timeframe.name, candle.start_us] = candle
    return candles


def stored_candles(
    stores: Stores, batch: Batch, ladder: Sequence[Timeframe]
) -> dict[CandleKey, Candle]:
    """Return the candles of the batch as a reader sees them: highest revision."""
    candles: dict[CandleKey, Candle] = {}
    live = LiveState.of(stores.redis, stores.shards)
    names, from_us, to_us = batch
    for timeframe in ladder:
        ranges = Ranges.same(timeframe.name, names, timeframe.start_us(from_us), to_us)
        # In the direction in which candles move, so that none is missed.
        moving = live.candles_of(names, timeframe, timeframe.start_us(from_us), to_us)
        found = read_candles(stores.postgres, ranges, moving).with_lake(stores.cold).traded
        for candle in found.candles(timeframe.name, names):
            candles[candle.instrument, timeframe.name, candle.start_us] = candle
    return candles
