"""Candles that touch an open gap are not complete, whoever made them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from psycopg import Connection, Cursor

from shared.market.timeframes import Timeframe
from shared.wire.gaps import touches

Row = dict[str, Any]
"""A candle as it is shown."""


def open_gaps(
    connection: Connection, symbol: str, from_us: int, to_us: int
) -> Cursor[tuple[int, int]]:
    """Ask where trades are missing, of what touches [from_us, to_us)."""
    return connection.execute(
        "SELECT from_us, to_us FROM gaps WHERE instrument = %s AND state = 'open'"
        " AND from_us < %s AND to_us >= %s",
        (symbol, to_us, from_us),
    )


def mark_incomplete(
    spans: Sequence[tuple[int, int]], rows: Iterable[Row], timeframe: Timeframe
) -> None:
    """Write into candles as they are shown that one which touches a span is not complete.

    Those made on reading have no evaluation of their own, and a part that a gap swallowed whole is
    not there to bring one.
    """
    for row in rows if spans else ():
        start_us = row["t"] * 1000
        row["complete"] &= not touches(spans, start_us, timeframe.end_us(start_us))
