"""Candles of both stores: closed ones from Postgres or the lake, live ones from Redis."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from psycopg import Connection, Cursor, sql

from shared.lake.cold import NO_LAKE, Cold
from shared.lake.plan import plan_candles
from shared.market.timeframes import Timeframe
from shared.market.utc_days import DAY_US, begin_us
from shared.realtime.readers import LiveState
from shared.stores.postgres import Postgres
from shared.wire.candle_json import candle_rows
from shared.wire.gaps import touches

Row = dict[str, Any]
"""A candle in its output form."""

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
class StoredCandles:
    """Reads kept candles. Every method raises TransientError while a store is away."""

    postgres: Postgres
    live: LiveState
    cold: Cold = NO_LAKE

    def batches(self, stored_range: StoredRange, size: int) -> Iterator[list[Row]]:
        """Yield the candles of the range, at most `size` at a time."""
        low, high = stored_range.from_us, stored_range.to_us
        while low < high:
            batch = self._read(replace(stored_range, from_us=low, to_us=high), size)
            if traded := _traded(batch):
                yield traded
            if len(batch) < size:
                return
            if stored_range.newest:
                high = batch[-1]["t"] * 1000
            else:
                low = batch[-1]["t"] * 1000 + 1

    def read(self, stored_range: StoredRange, count: int) -> list[Row]:
        """Return the first `count` candles of the range.

        If both stores have a candle, the higher revision wins, so the first candles of the union
        are right wherever they are. Candles whose trades were all cancelled are left out, so there
        may be fewer.
        """
        return _traded(self._read(stored_range, count))

    def _read(self, stored_range: StoredRange, count: int) -> list[Row]:
        by_start: dict[int, Row] = {}
        # Redis first: a candle persisted in between is then in both results, not in neither.
        _join(by_start, self._live(stored_range))
        with self.postgres.autocommit() as connection, connection.pipeline():  # one round trip
            stored = self._stored(connection, stored_range, count)
            days = connection.execute(_COLD_DAYS)
            gaps = open_gaps(
                connection, stored_range.symbol, stored_range.from_us, stored_range.to_us
            )
            _join(by_start, _rows(stored))
            (first_day, last_day), spans = days.fetchall()[0], gaps.fetchall()
        low, high = stored_range.from_us, stored_range.to_us
        if len(by_start) >= count:  # no lake candle beyond these can be among the first
            edge_us = sorted(by_start, reverse=stored_range.newest)[count - 1] * 1000
            low, high = (edge_us, high) if stored_range.newest else (low, edge_us + 1)
        if first_day and begin_us(first_day) < high and low < begin_us(last_day) + DAY_US:
            _join(by_start, self._in_lake(replace(stored_range, from_us=low, to_us=high), count))
        rows = [by_start[start] for start in sorted(by_start, reverse=stored_range.newest)[:count]]
        mark_incomplete(spans, rows, stored_range.timeframe)
        return rows

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

    def _live(self, stored_range: StoredRange) -> list[Row]:
        bounds = (stored_range.timeframe, stored_range.from_us, stored_range.to_us)
        return candle_rows(self.live.candles(stored_range.symbol, *bounds).as_lists())

    def _stored(self, connection: Connection, stored_range: StoredRange, count: int) -> Cursor:
        statement = _STORED.format(sql.SQL("DESC" if stored_range.newest else "ASC"))
        return connection.execute(statement, (*stored_range.bounds, count))

    def _in_lake(self, stored_range: StoredRange, count: int) -> list[Row]:
        with self.postgres.autocommit() as connection:
            plan = plan_candles(connection, stored_range.from_us, stored_range.to_us)
        if plan.is_hot:
            return []
        return candle_rows(
            self.cold.candle_lists(
                plan, *stored_range.bounds, count=count, newest=stored_range.newest
            )
        )


def _rows(cursor: Cursor) -> list[Row]:
    rows = cursor.fetchall()
    names = [each.name for each in cursor.description or ()]
    return candle_rows(dict(zip(names, zip(*rows, strict=True), strict=True))) if rows else []


def _traded(rows: Sequence[Row]) -> list[Row]:
    return [row for row in rows if row["n"]]


def _join(by_start: dict[int, Row], rows: Iterable[Row]) -> None:
    for row in rows:
        previous = by_start.get(row["t"])
        if previous is None or row["revision"] > previous["revision"]:
            by_start[row["t"]] = row


def open_gaps(
    connection: Connection, symbol: str, from_us: int, to_us: int
) -> Cursor[tuple[int, int]]:
    """Query the open gaps that touch [from_us, to_us)."""
    return connection.execute(
        "SELECT from_us, to_us FROM gaps WHERE instrument = %s AND state = 'open'"
        " AND from_us < %s AND to_us >= %s",
        (symbol, to_us, from_us),
    )


def mark_incomplete(
    spans: Sequence[tuple[int, int]], rows: Iterable[Row], timeframe: Timeframe
) -> None:
    """Clear `complete` of the candles that touch a span.

    Candles folded on read need this, since a part that lies wholly in a gap does not exist and so
    cannot mark them.
    """
    for row in rows if spans else ():
        start_us = row["t"] * 1000
        row["complete"] &= not touches(spans, start_us, timeframe.end_us(start_us))
