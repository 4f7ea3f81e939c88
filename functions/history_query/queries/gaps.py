"""Completeness of candles: one that touches an open gap is not complete."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from psycopg import Connection, Cursor

from shared.market.timeframes import Timeframe
from shared.wire.gaps import touches

Row = dict[str, Any]
"""A candle in its output form."""


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
