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
class StoredCandles:
    """Reads kept candles. Every method raises TransientError while a store is away."""

    postgres: Postgres
    live: LiveState
    cold: Cold = NO_LAKE

    def batches(self, ranges: Ranges, size: int, most: float = math.inf) -> Iterator[ListedCandles]:
        """Yield the candles of one range, at most `size` at a time and `most` in all.

        Candles whose trades were all cancelled are left out; as many more are read at a time as
        were before.
        """
        (low,), (high,) = ranges.from_us, ranges.to_us
        withdrawn = 0
        while low < high and most > 0:
            count = int(min(size, most + withdrawn))
            batch = self.read(replace(ranges, from_us=[low], to_us=[high], count=count))
            traded = batch.traded
            if len(traded):
                yield traded.at(slice(int(min(most, size))))
            if len(batch) < count:
                return
            most -= len(traded)
            withdrawn += len(batch) - len(traded)
            if ranges.newest:
                high = batch.columns["start_us"][-1]
            else:
                low = batch.columns["start_us"][-1] + 1

    def read(self, ranges: Ranges) -> ListedCandles:
        """Return the first candles of one range, also those without a trade left."""
        symbol, low, high = ranges.names[0], ranges.from_us[0], ranges.to_us[0]
        timeframe = Timeframe.parse(ranges.timeframe)
        # Redis first: a candle persisted in between is then in both results, not in neither.
        live = self.live.candles_of(
            [symbol], timeframe, low, high, ranges.count, newest=ranges.newest
        )
        with self.postgres.autocommit() as connection, connection.pipeline():  # one round trip
            gaps = open_gaps(connection, symbol, low, high)
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
