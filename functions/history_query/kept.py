"""Kept candles out of both stores: closed ones in Postgres, live ones in Redis."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields, replace
from typing import Final, cast

import redis
from psycopg import sql
from psycopg.rows import class_row

from shared.candle import Candle, CandleState
from shared.lake.cold import NO_LAKE, Cold
from shared.lake.manifest import cold_candle_files
from shared.schema import state_pb2
from shared.shards import shard_of
from shared.state import Keys, unpack
from shared.stores.postgres import Postgres
from shared.stores.redis import translated
from shared.timeframes import Timeframe

_COLUMNS: Final = sql.SQL(", ").join(sql.Identifier(field.name) for field in fields(Candle))

_SELECT: Final = sql.SQL(
    "SELECT {} FROM candles WHERE instrument = %s AND timeframe = %s"
    " AND start_us >= %s AND start_us < %s ORDER BY start_us {} LIMIT %s"
)


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which kept candles: starts in [from_us, to_us), ascending, or descending if `newest`."""

    symbol: str
    timeframe: Timeframe
    from_us: int
    to_us: int
    newest: bool


@dataclass(frozen=True, slots=True)
class KeptCandles:
    """Reads kept candles. Every method raises TransientError while a store is away."""

    postgres: Postgres
    client: redis.Redis
    shards: int
    cold: Cold = NO_LAKE

    def batches(self, wanted: Wanted, size: int) -> Iterator[list[Candle]]:
        """Yield all of them, at most `size` at a time."""
        low, high = wanted.from_us, wanted.to_us
        while low < high:
            rest = Wanted(wanted.symbol, wanted.timeframe, low, high, wanted.newest)
            batch = self.read(rest, size)
            if batch:
                yield batch
            if len(batch) < size:
                return
            if wanted.newest:
                high = batch[-1].start_us
            else:
                low = batch[-1].start_us + 1

    def read(self, wanted: Wanted, count: int) -> list[Candle]:
        """Return the first `count` of them.

        Both stores are asked for as many; of a candle that is in both, the higher revision counts;
        so the union's first candles are right whichever store has them.
        """
        found: dict[int, Candle] = {}
        # Redis first: a candle that is persisted meanwhile is then found in both, not in neither.
        _join(found, self._live(wanted, count))
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
        with translated():
            blob = cast(bytes | None, self.client.get(self._keys(symbol).instrument(symbol)))
        if blob is None:
            return None
        return state_pb2.InstrumentState.FromString(unpack(blob)[1]).watermark_us

    def knows(self, symbol: str) -> bool:
        """Tell whether the instrument was ever seen."""
        with translated():
            if self.client.sismember(self._keys(symbol).instruments, symbol):
                return True
        with self.postgres.connection() as connection:
            row = connection.execute(
                "SELECT EXISTS (SELECT FROM candles WHERE instrument = %s)", (symbol,)
            ).fetchone()
        return bool(row and row[0])

    def _keys(self, symbol: str) -> Keys:
        return Keys(shard_of(symbol, self.shards))

    def _live(self, wanted: Wanted, count: int) -> Iterable[Candle]:
        keys = self._keys(wanted.symbol)
        name = wanted.timeframe.name
        index = keys.candles(wanted.symbol, name)
        low, high = wanted.from_us, f"({wanted.to_us}"
        with translated():
            members = cast(
                list[bytes],
                self.client.zrange(index, high, low, desc=True, byscore=True, offset=0, num=count)
                if wanted.newest
                else self.client.zrange(index, low, high, byscore=True, offset=0, num=count),
            )
            names = [keys.candle(wanted.symbol, name, int(start)) for start in members]
            blobs = cast(list[bytes | None], self.client.mget(names) if names else [])
        return [CandleState.decode(unpack(blob)[1]).candle for blob in blobs if blob is not None]

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
            files = cold_candle_files(
                connection, wanted.symbol, wanted.timeframe.name, wanted.from_us, wanted.to_us
            )
        if not files:
            return []
        return self.cold.candles(files, wanted.from_us, wanted.to_us, count, newest=wanted.newest)


def _join(found: dict[int, Candle], candles: Iterable[Candle]) -> None:
    for candle in candles:
        present = found.get(candle.start_us)
        if present is None or candle.revision > present.revision:
            found[candle.start_us] = candle
