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
from shared.candles.folds import KeyedRecords
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
_KEPT: Final = ("partial", "complete", "origin", "revision")
"""A venue's candle replaces a withdrawn one where it would have replaced the one before."""

CandleStart = tuple[str, int]
"""Instrument, and start (us) of its candle."""


def live_closed(
    session: Session, timeframe: str, places: Iterable[CandleStart]
) -> Iterator[Candle]:
    """Yield the live closed candles at these places: they are published, or about to be."""
    for name, start_us in places:
        _, records = session.read(Block(timeframe, start_us), [name])
        rows = np.flatnonzero(records.has(CLOSED) & records.has(PRICED))
        starts = np.full(len(rows), start_us, dtype=np.int64)
        yield from CandleColumns(timeframe, [name] * len(rows), starts, records.at(rows)).candles()


def withdrawn(
    connection: Connection,
    timeframe: str,
    places: Iterable[CandleStart],
    candidates: Iterable[Candle],
    names: Sequence[str],
) -> KeyedRecords:
    """Return candles without a trade at these places, at the close before or the open after them.

    Also where no candidate exists: one may be in flight. Revisions are of the newest one.
    `names`: the instruments by number.
    """
    newest: dict[CandleStart, Candle] = {}
    for candle in sorted(candidates, key=lambda candle: candle.revision):
        newest[candle.instrument, candle.start_us] = candle
    no, withdrawals = Decimal(0), []
    for name, start_us in sorted(places):
        parameters = {"name": name, "timeframe": timeframe, "start_us": start_us}
        row = connection.execute(_PRICE_NEAR, parameters).fetchone()
        before = newest.get((name, start_us))
        price = row[0] if row else None
        if price is None:
            price = no if before is None else before.close
        withdrawal = Candle(
            *(name, timeframe, start_us, price, price, price, price),
            *(no, no, 0, no, no, start_us, start_us),
            closed=True,
        )
        if before is not None:
            kept = {each: getattr(before, each) for each in _KEPT}
            withdrawal = replace(withdrawal, **kept)
        withdrawals.append(withdrawal)
    columns = CandleColumns.of(timeframe, withdrawals)
    numbers = np.array([names.index(name) for name in columns.names], dtype=np.int64)
    return KeyedRecords(numbers, columns.start_us, columns.records)


def voids(places: Sequence[CandleStart], names: Sequence[str]) -> KeyedRecords:
    """Return closed records of no tick, which are not candles, at base candles' places."""
    records = Records.empty(len(places))
    records.data["flags"] = CLOSED
    numbers = np.array([names.index(name) for name, _ in places], dtype=np.int64)
    return KeyedRecords(numbers, np.array([start for _, start in places], dtype=np.int64), records)
