"""Candles of an instrument from all stores: closed ones of Postgres or the lake, and live ones."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from psycopg import Connection, Cursor

from shared.lake.reading.cold import NO_LAKE, Cold
from shared.market.timeframes import Timeframe
from shared.reading.stored_candles import SHOWN, ListedCandles, Ranges, read_candles
from shared.realtime.readers import LiveState
from shared.stores.postgres import Postgres
from shared.wire.gaps import touches


@dataclass(frozen=True, slots=True)
class StoredRange:
    """Range of stored candles: starts in [from_us, to_us), ascending, or descending if `newest`."""

    symbol: str
    timeframe: Timeframe
    from_us: int
    to_us: int
    newest: bool


@dataclass(frozen=True, slots=True)
class StoredCandles:
    """Reads kept candles. Every method raises TransientError while a store is away."""

    postgres: Postgres
    live: LiveState
    cold: Cold = NO_LAKE

    def batches(
        self, stored_range: StoredRange, size: int, most: float = math.inf
    ) -> Iterator[ListedCandles]:
        """Yield the candles of the range, at most `size` at a time and `most` in all.

        Candles whose trades were all cancelled are left out; as many more are read at a time as
        were before.
        """
        low, high = stored_range.from_us, stored_range.to_us
        withdrawn = 0
        while low < high and most > 0:
            count = int(min(size, most + withdrawn))
            batch = self.read(replace(stored_range, from_us=low, to_us=high), count)
            traded = batch.traded
            if len(traded):
                yield traded.at(slice(int(min(most, size))))
            if len(batch) < count:
                return
            most -= len(traded)
            withdrawn += len(batch) - len(traded)
            if stored_range.newest:
                high = batch.columns["start_us"][-1]
            else:
                low = batch.columns["start_us"][-1] + 1

    def read(self, stored_range: StoredRange, count: int) -> ListedCandles:
        """Return the first `count` candles of the range, also those without a trade left."""
        symbol, timeframe = stored_range.symbol, stored_range.timeframe
        bounds = stored_range.from_us, stored_range.to_us
        ranges = Ranges.same(timeframe.name, [symbol], *bounds)
        ranges = replace(ranges, count=count, newest=stored_range.newest)
        # Redis first: a candle persisted in between is then in both results, not in neither.
        live = self.live.candles_of([symbol], timeframe, *bounds, count, newest=stored_range.newest)
        with self.postgres.autocommit() as connection, connection.pipeline():  # one round trip
            gaps = open_gaps(connection, symbol, *bounds)
            found = read_candles(connection, ranges, live, SHOWN)
            spans = gaps.fetchall()
        return _marked(found.with_lake(self.cold), spans, timeframe)

    def watermark_us(self, symbol: str) -> int | None:
        """Return the instrument's watermark; None without live state."""
        return self.live.watermark_us(symbol)

    def exists(self, symbol: str) -> bool:
        """Tell whether the instrument was ever seen."""
        if self.live.watermark_us(symbol) is not None:
            return True
        with self.postgres.connection() as connection:
            row = connection.execute(
                "SELECT EXISTS (SELECT FROM candles WHERE instrument = %s)", (symbol,)
            ).fetchone()
        return bool(row and row[0])


def _marked(
    candles: ListedCandles, spans: Sequence[tuple[int, int]], timeframe: Timeframe
) -> ListedCandles:
    """Clear `complete` of the candles that touch a span."""
    if not spans:
        return candles
    flags = zip(candles.columns["start_us"], candles.columns["complete"], strict=True)
    complete = [
        is_complete and not touches(spans, start_us, timeframe.end_us(start_us))
        for start_us, is_complete in flags
    ]
    return ListedCandles({**candles.columns, "complete": complete})


def open_gaps(
    connection: Connection, symbol: str, from_us: int, to_us: int
) -> Cursor[tuple[int, int]]:
    """Query the open gaps that touch [from_us, to_us)."""
    return connection.execute(
        "SELECT from_us, to_us FROM gaps WHERE instrument = %s AND state = 'open'"
        " AND from_us < %s AND to_us >= %s",
        (symbol, to_us, from_us),
    )
