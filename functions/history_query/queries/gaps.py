"""Candles that touch an open gap are not complete, whoever made them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from shared.market.timeframes import Timeframe
from shared.stores.postgres import Postgres
from shared.wire.candle import Candle
from shared.wire.gaps import touches


def open_gaps(postgres: Postgres, symbol: str, from_us: int, to_us: int) -> list[tuple[int, int]]:
    """Return where trades are missing, of what touches [from_us, to_us). Raises TransientError."""
    with postgres.connection() as connection:
        return connection.execute(
            "SELECT from_us, to_us FROM gaps WHERE instrument = %s AND state = 'open'"
            " AND from_us < %s AND to_us >= %s",
            (symbol, to_us, from_us),
        ).fetchall()


def judged_by_gaps(
    postgres: Postgres, symbol: str, candles: Sequence[Candle], timeframe: Timeframe
) -> list[Candle]:
    """Return the candles, ascending or descending, with `complete` as the open gaps say it too.

    Those made on reading have no evaluation of their own, and a part that a gap swallowed whole is
    not there to bring one. Raises TransientError.
    """
    if not candles:
        return []
    starts = (candles[0].start_us, candles[-1].start_us)
    spans = open_gaps(postgres, symbol, min(starts), timeframe.end_us(max(starts)))
    if not spans:
        return list(candles)
    return [
        replace(candle, complete=False)
        if touches(spans, candle.start_us, timeframe.end_us(candle.start_us))
        else candle
        for candle in candles
    ]
