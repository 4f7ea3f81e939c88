"""Candles whose trades were all cancelled: withdrawn by a candle without a trade.

It outranks the candle published before, in every store and for every consumer; readers skip it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Final

import numpy as np
from psycopg import Connection

from functions.candle_aggregate.session import Session
from shared.candles.folds import Places
from shared.market.blocks import CLOSED, PRICED, Records
from shared.realtime.keys import Block
from shared.wire.candle import Candle
from shared.wire.candle_columns import CandleColumns

_PRICE_NEAR: Final = """
    SELECT coalesce(
        (SELECT close FROM candles WHERE instrument = %(name)s AND timeframe = %(timeframe)s
            AND start_us < %(start_us)s AND trade_count > 0 ORDER BY start_us DESC LIMIT 1),
        (SELECT open FROM candles WHERE instrument = %(name)s AND timeframe = %(timeframe)s
            AND start_us > %(start_us)s AND trade_count > 0 ORDER BY start_us LIMIT 1))
"""

Place = tuple[str, int]
"""Instrument, and start (us)."""


def live_closed(session: Session, timeframe: str, places: Iterable[Place]) -> Iterator[Candle]:
    """Yield the live closed candles at these places: they are published, or about to be."""
    for name, start_us in places:
        _, records = session.read(Block(timeframe, start_us), [name])
        rows = np.flatnonzero(records.has(CLOSED) & records.has(PRICED))
        starts = np.full(len(rows), start_us, dtype=np.int64)
        yield from CandleColumns(timeframe, [name] * len(rows), starts, records.at(rows)).candles()


def withdrawn(
    connection: Connection,
    timeframe: str,
    places: Iterable[Place],
    candidates: Iterable[Candle],
    names: Sequence[str],
) -> Places:
    """Return candles without a trade at these places, at the close before or the open after them.

    Also where no candidate exists: one may be in flight. Revisions are of the newest one.
    `names`: the instruments by number.
    """
    newest: dict[Place, Candle] = {}
    for candle in sorted(candidates, key=lambda candle: candle.revision):
        newest[candle.instrument, candle.start_us] = candle
    withdrawals = []
    for name, start_us in sorted(places):
        parameters = {"name": name, "timeframe": timeframe, "start_us": start_us}
        row = connection.execute(_PRICE_NEAR, parameters).fetchone()
        candle = newest.get((name, start_us)) or _none(name, timeframe, start_us)
        nearby_price = row[0] if row else None
        withdrawals.append(
            _without_trades(candle, candle.close if nearby_price is None else nearby_price)
        )
    columns = CandleColumns.of(timeframe, withdrawals)
    numbers = np.array([names.index(name) for name in columns.names], dtype=np.int64)
    return Places(numbers, columns.start_us, columns.records)


def _none(name: str, timeframe: str, start_us: int) -> Candle:
    no = Decimal(0)
    prices, sums = (no, no, no, no), (no, no)
    return Candle(name, timeframe, start_us, *prices, *sums, 0, no, no, start_us, start_us)


def voids(places: Sequence[Place], names: Sequence[str]) -> Places:
    """Return closed records of no tick, which are no candles, at base candles' places."""
    records = Records.empty(len(places))
    records.data["flags"] = CLOSED
    numbers = np.array([names.index(name) for name, _ in places], dtype=np.int64)
    return Places(numbers, np.array([start for _, start in places], dtype=np.int64), records)


def _without_trades(candle: Candle, price: Decimal) -> Candle:
    none = Decimal(0)
    return replace(
        candle,
        open=price,
        high=price,
        low=price,
        close=price,
        volume=none,
        notional=none,
        trade_count=0,
        buy_volume=none,
        sell_volume=none,
        closed=True,
    )
