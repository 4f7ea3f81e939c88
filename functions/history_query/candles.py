"""One page of candles out of both stores: closed ones in Postgres, live ones in Redis."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields
from decimal import Context
from typing import Any, Final, cast

import redis
from psycopg import sql
from psycopg.rows import class_row

from functions.history_query.parameters import Page, make_cursor
from shared.candle import Candle, CandleState
from shared.decimals import to_text
from shared.state import Keys, shard_of, unpack
from shared.stores.postgres import Postgres
from shared.stores.redis import translated

_VWAP: Final = Context(prec=20)
"""VWAP is derived, and a quotient: 20 significant digits."""

_COLUMNS: Final = sql.SQL(", ").join(sql.Identifier(field.name) for field in fields(Candle))

_SELECT: Final = sql.SQL(
    "SELECT {} FROM candles WHERE instrument = %s AND timeframe = %s"
    " AND start_us >= %s AND start_us < %s ORDER BY start_us {} LIMIT %s"
)


@dataclass(frozen=True, slots=True)
class CandlePages:
    """Reads pages. Both methods raise TransientError while a store is away."""

    postgres: Postgres
    client: redis.Redis
    shards: int

    def page(self, symbol: str, page: Page) -> tuple[list[Candle], str | None]:
        """Return candles in ascending order, and a cursor when there are more in the range.

        Both stores are asked for one more than the page holds; of a candle that is in both, the
        higher revision counts; so the union's first candles are right whichever store has them.
        """
        found: dict[int, Candle] = {}
        # Redis first: a candle that is persisted meanwhile is then found in both, not in neither.
        for candle in [*self._live(symbol, page), *self._stored(symbol, page)]:
            present = found.get(candle.start_us)
            if present is None or candle.revision > present.revision:
                found[candle.start_us] = candle
        starts = sorted(found, reverse=page.newest)
        more = len(starts) > page.limit
        chosen = sorted(starts[: page.limit])
        cursor = None
        if more:
            cursor = (
                make_cursor("before", chosen[0])
                if page.newest
                else make_cursor("after", chosen[-1])
            )
        return [found[start] for start in chosen], cursor

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

    def _live(self, symbol: str, page: Page) -> Iterable[Candle]:
        keys = self._keys(symbol)
        index = keys.candles(symbol, page.timeframe.name)
        low, high = page.from_us, f"({page.to_us}"
        with translated():
            members = cast(
                list[bytes],
                self.client.zrange(
                    index, high, low, desc=True, byscore=True, offset=0, num=page.limit + 1
                )
                if page.newest
                else self.client.zrange(
                    index, low, high, byscore=True, offset=0, num=page.limit + 1
                ),
            )
            names = [keys.candle(symbol, page.timeframe.name, int(start)) for start in members]
            blobs = cast(list[bytes | None], self.client.mget(names) if names else [])
        return [CandleState.decode(unpack(blob)[1]).candle for blob in blobs if blob is not None]

    def _stored(self, symbol: str, page: Page) -> list[Candle]:
        statement = _SELECT.format(_COLUMNS, sql.SQL("DESC" if page.newest else "ASC"))
        parameters = (symbol, page.timeframe.name, page.from_us, page.to_us, page.limit + 1)
        with (
            self.postgres.connection() as connection,
            connection.cursor(row_factory=class_row(Candle)) as cursor,
        ):
            return cursor.execute(statement, parameters).fetchall()


def as_json(candle: Candle) -> dict[str, Any]:
    """Return a candle as the API shows it: `t` ms, prices and sizes as decimal texts."""
    vwap = _VWAP.divide(candle.notional, candle.volume) if candle.volume else None
    return {
        "t": candle.start_us // 1000,
        "o": to_text(candle.open),
        "h": to_text(candle.high),
        "l": to_text(candle.low),
        "c": to_text(candle.close),
        "v": to_text(candle.volume),
        "vw": None if vwap is None else to_text(vwap),
        "n": candle.trade_count,
        "bv": to_text(candle.buy_volume),
        "sv": to_text(candle.sell_volume),
        "closed": candle.closed,
        "partial": candle.partial,
        "complete": candle.complete,
        "revision": candle.revision,
    }
