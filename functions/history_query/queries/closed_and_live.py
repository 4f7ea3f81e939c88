"""Candles out of both stores: closed ones in Postgres or the lake, live ones in Redis."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from typing import Final

from psycopg import sql
from psycopg.rows import class_row

from shared.lake.cold import NO_LAKE, Cold
from shared.lake.plan import plan_candles
from shared.market.timeframes import Timeframe
from shared.realtime.readers import LiveState
from shared.stores.postgres import Postgres
from shared.wire.candle import Candle

_COLUMNS: Final = sql.SQL(", ").join(sql.Identifier(field.name) for field in fields(Candle))

_SELECT: Final = sql.SQL(
    "SELECT {} FROM candles WHERE instrument = %s AND timeframe = %s"
    " AND start_us >= %s AND start_us < %s ORDER BY start_us {} LIMIT %s"
)


@dataclass(frozen=True, slots=True)
class Wanted:
    """Range of stored candles: starts in [from_us, to_us), ascending, or descending if `newest`."""

    symbol: str
    timeframe: Timeframe
    from_us: int
    to_us: int
    newest: bool


@dataclass(frozen=True, slots=True)
class KeptCandles:
    """Reads kept candles. Every method raises TransientError while a store is away."""

    postgres: Postgres
    live: LiveState
    cold: Cold = NO_LAKE

    def batches(self, wanted: Wanted, size: int) -> Iterator[list[Candle]]:
        """Yield all of them, at most `size` at a time."""
        low, high = wanted.from_us, wanted.to_us
        while low < high:
            rest = Wanted(wanted.symbol, wanted.timeframe, low, high, wanted.newest)
            batch = self._read(rest, size)
            if there := _traded(batch):
                yield there
            if len(batch) < size:
                return
            if wanted.newest:
                high = batch[-1].start_us
            else:
                low = batch[-1].start_us + 1

    def read(self, wanted: Wanted, count: int) -> list[Candle]:
        """Return the first `count` of them.

        Both stores are asked; of a candle that is in both, the higher revision counts;
        so the union's first candles are right whichever store has them. Those whose trades were
        all cancelled are left out, so there may be fewer.
        """
        return _traded(self._read(wanted, count))

    def _read(self, wanted: Wanted, count: int) -> list[Candle]:
        found: dict[int, Candle] = {}
        # Redis first: a candle that is persisted meanwhile is then found in both, not in neither.
        _join(found, self._live(wanted))
        _join(found, self._stored(wanted, count))
        if len(found) >= count:  # no candle beyond these can be among the first
            edge_us = sorted(found, reverse=wanted.newest)[count - 1]
            if wanted.newest:
                wanted = replace(wanted, from_us=edge_us)
            else:
                wanted = replace(wanted, to_us=edge_us + 1)
        _join(found, self._in_lake(wanted, count))
        return [found[start] for start in sorted(found, reverse=wanted.newest)[:count]]

    def watermark_us(self, symbol: str) -> int | None:
        """Return how far event time has advanced for the instrument; None where nothing is live."""
        return self.live.watermark_us(symbol)

    def knows(self, symbol: str) -> bool:
        """Tell whether the instrument was ever seen."""
        if self.live.watermark_us(symbol) is not None:
            return True
        with self.postgres.connection() as connection:
            row = connection.execute(
                "SELECT EXISTS (SELECT FROM candles WHERE instrument = %s)", (symbol,)
            ).fetchone()
        return bool(row and row[0])

    def _live(self, wanted: Wanted) -> Iterable[Candle]:
        bounds = (wanted.timeframe, wanted.from_us, wanted.to_us)
        return self.live.candles(wanted.symbol, *bounds).candles()

    def _stored(self, wanted: Wanted, count: int) -> list[Candle]:
        statement = _SELECT.format(_COLUMNS, sql.SQL("DESC" if wanted.newest else "ASC"))
        bounds = (wanted.symbol, wanted.timeframe.name, wanted.from_us, wanted.to_us, count)
        with (
            self.postgres.connection() as connection,
            connection.cursor(row_factory=class_row(Candle)) as cursor,
        ):
            return cursor.execute(statement, bounds).fetchall()

    def _in_lake(self, wanted: Wanted, count: int) -> list[Candle]:
        with self.postgres.connection() as connection:
            plan = plan_candles(connection, wanted.from_us, wanted.to_us)
        return self.cold.candles(
            plan,
            wanted.symbol,
            wanted.timeframe.name,
            wanted.from_us,
            wanted.to_us,
            count=count,
            newest=wanted.newest,
        )


def _traded(candles: Sequence[Candle]) -> list[Candle]:
    return [candle for candle in candles if candle.trade_count]


def _join(found: dict[int, Candle], candles: Iterable[Candle]) -> None:
    for candle in candles:
        present = found.get(candle.start_us)
        if present is None or candle.revision > present.revision:
            found[candle.start_us] = candle
