"""Candles of both stores: closed ones from Postgres or the lake, live ones from Redis."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from decimal import Decimal
from itertools import chain
from typing import Any, Final

import orjson
from psycopg import Connection, Cursor, sql

from shared.lake.reading.cold import NO_LAKE, Cold
from shared.lake.reading.plan import plan_candles
from shared.market.timeframes import Timeframe
from shared.market.utc_days import DAY_US, begin_us
from shared.realtime.readers import LiveState
from shared.stores.postgres import Postgres
from shared.wire.candle import DECIMALS, Candle
from shared.wire.candle_json import candle_rows
from shared.wire.gaps import touches

_NAMES: Final = tuple(each.name for each in fields(Candle))[2:]
_STORED_NAMES: Final = tuple(name for name in _NAMES if not name.endswith("_time_us"))
_STORED: Final = sql.SQL("""
SELECT start_us, trim_scale(open)::text AS open, trim_scale(high)::text AS high,
       trim_scale(low)::text AS low, trim_scale(close)::text AS close,
       trim_scale(volume)::text AS volume, trim_scale(notional)::text AS notional,
       trade_count, trim_scale(buy_volume)::text AS buy_volume,
       trim_scale(sell_volume)::text AS sell_volume, closed, partial, complete, revision, origin
FROM candles
WHERE instrument = %s AND timeframe = %s AND start_us >= %s AND start_us < %s
ORDER BY start_us {} LIMIT %s
""")
_NONE: Final[Mapping[str, Sequence[Any]]] = dict.fromkeys(_STORED_NAMES, ())
_COLD_DAYS: Final = "SELECT min(day), max(day) FROM cold_candle_days"


@dataclass(frozen=True, slots=True)
class StoredRange:
    """Range of stored candles: starts in [from_us, to_us), ascending, or descending if `newest`."""

    symbol: str
    timeframe: Timeframe
    from_us: int
    to_us: int
    newest: bool

    @property
    def bounds(self) -> tuple[str, str, int, int]:
        """Parameters of a statement."""
        return self.symbol, self.timeframe.name, self.from_us, self.to_us


@dataclass(frozen=True, slots=True)
class ListedCandles:
    """Candles of a timeframe as lists by the names of `Candle`, exact numbers as text."""

    columns: Mapping[str, Sequence[Any]]

    @classmethod
    def of(cls, parts: Sequence[Mapping[str, Sequence[Any]]]) -> ListedCandles:
        """Return the candles of all parts, one after the other."""
        if len(parts) == 1:
            return cls({name: parts[0][name] for name in _STORED_NAMES})
        return cls({name: [*chain(*(part[name] for part in parts))] for name in _STORED_NAMES})

    def __len__(self) -> int:
        return len(self.columns["start_us"])

    def at(self, rows: slice) -> ListedCandles:
        """Return the candles of a slice."""
        return ListedCandles({name: each[rows] for name, each in self.columns.items()})

    def take(self, rows: Sequence[int]) -> ListedCandles:
        """Return the candles with these numbers."""
        columns = self.columns.items()
        return ListedCandles({name: [each[row] for row in rows] for name, each in columns})

    def packed(self) -> bytes:
        """Return them as few objects, for a large page; `unpacked` reads it."""
        return orjson.dumps(self.columns)

    @classmethod
    def unpacked(cls, body: bytes) -> ListedCandles:
        """Read what `packed` returned."""
        return cls(orjson.loads(body))

    def rows(self) -> list[dict[str, Any]]:
        """Return the candles in their output form."""
        return candle_rows(self.columns)

    def candles(self, symbol: str, timeframe: str) -> Iterator[Candle]:
        """Yield the candles as values; first and last time are the start."""
        starts = self.columns["start_us"]
        columns: dict[str, Iterable[Any]] = {**self.columns}
        columns |= dict.fromkeys(("first_time_us", "last_time_us"), starts)
        columns |= {name: map(Decimal, self.columns[name]) for name in DECIMALS}
        for values in zip(*(columns[name] for name in _NAMES), strict=True):
            yield Candle(symbol, timeframe, *values)


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

        As many more are read at a time as were withdrawn before.
        """
        low, high = stored_range.from_us, stored_range.to_us
        withdrawn = 0
        while low < high and most > 0:
            count = int(min(size, most + withdrawn))
            batch = self._read(replace(stored_range, from_us=low, to_us=high), count)
            traded = _traded(batch)
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
        """Return the first `count` candles of the range.

        If both stores have a candle, the higher revision wins, so the first candles of the union
        are right wherever they are. Candles whose trades were all cancelled are left out, so there
        may be fewer.
        """
        return _traded(self._read(stored_range, count))

    def _read(self, stored_range: StoredRange, count: int) -> ListedCandles:
        newest = stored_range.newest
        # Redis first: a candle persisted in between is then in both results, not in neither.
        bounds = (stored_range.timeframe, stored_range.from_us, stored_range.to_us)
        live = self.live.candles(stored_range.symbol, *bounds).as_lists()
        with self.postgres.autocommit() as connection, connection.pipeline():  # one round trip
            stored = self._stored(connection, stored_range, count)
            days = connection.execute(_COLD_DAYS)
            gaps = open_gaps(
                connection, stored_range.symbol, stored_range.from_us, stored_range.to_us
            )
            candles = _first([live, _lists(stored)], count, newest=newest)
            (first_day, last_day), spans = days.fetchall()[0], gaps.fetchall()
        low, high = stored_range.from_us, stored_range.to_us
        if len(candles) == count:  # no lake candle beyond these can be among the first
            edge_us = candles.columns["start_us"][-1]
            low, high = (edge_us, high) if newest else (low, edge_us + 1)
        if first_day and begin_us(first_day) < high and low < begin_us(last_day) + DAY_US:
            in_lake = self._in_lake(replace(stored_range, from_us=low, to_us=high), count)
            candles = _first([candles.columns, in_lake], count, newest=newest)
        return _marked(candles, spans, stored_range.timeframe)

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

    def _stored(self, connection: Connection, stored_range: StoredRange, count: int) -> Cursor:
        statement = _STORED.format(sql.SQL("DESC" if stored_range.newest else "ASC"))
        return connection.execute(statement, (*stored_range.bounds, count))

    def _in_lake(self, stored_range: StoredRange, count: int) -> Mapping[str, Sequence[Any]]:
        with self.postgres.autocommit() as connection:
            plan = plan_candles(connection, stored_range.from_us, stored_range.to_us)
        if plan.is_hot:
            return _NONE
        return self.cold.candle_lists(
            plan, *stored_range.bounds, count=count, newest=stored_range.newest
        )


def _lists(cursor: Cursor) -> Mapping[str, Sequence[Any]]:
    rows = cursor.fetchall()
    return dict(zip(_STORED_NAMES, zip(*rows, strict=True), strict=True)) if rows else _NONE


def _traded(candles: ListedCandles) -> ListedCandles:
    rows = [row for row, count in enumerate(candles.columns["trade_count"]) if count]
    return candles if len(rows) == len(candles) else candles.take(rows)


def _first(
    parts: Sequence[Mapping[str, Sequence[Any]]], count: int, *, newest: bool
) -> ListedCandles:
    """Return the first candles of all parts, of each start the one with the highest revision."""
    candles = ListedCandles.of([part for part in parts if part["start_us"]] or [_NONE])
    starts, revisions = candles.columns["start_us"], candles.columns["revision"]
    by_start: dict[int, int] = {}
    for row, start_us in enumerate(starts):
        known = by_start.setdefault(start_us, row)
        if revisions[row] > revisions[known]:
            by_start[start_us] = row
    rows = [by_start[start_us] for start_us in sorted(by_start, reverse=newest)[:count]]
    return candles if rows == [*range(len(candles))] else candles.take(rows)


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
