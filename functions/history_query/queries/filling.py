"""Gap filling: intervals without a trade as candles of the previous close, or as nulls."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, Final

from shared.market.timeframes import Timeframe

Row = Mapping[str, Any]

_NOTHING: Final[Row] = {
    "v": "0",
    "vw": None,
    "n": 0,
    "qv": "0",
    "bv": "0",
    "sv": "0",
    "closed": True,
    "partial": False,
    "complete": True,
    "revision": 0,
    "origin": "trades",
}


def filled_after(
    rows: Sequence[Row], limit: int, timeframe: Timeframe, *, previous: bool, before: Row | None
) -> tuple[list[Row], bool]:
    """Return the first `limit` rows, gaps filled, and whether there are more.

    `before`: the row before the page; the gap after it is filled too.
    """

    def all_rows() -> Iterator[Row]:
        last = before
        for row in rows:
            if last is not None:
                start_us = timeframe.next_us(last["t"] * 1000)
                while start_us < row["t"] * 1000:
                    yield _between(last, start_us, previous=previous)
                    start_us = timeframe.next_us(start_us)
            yield row
            last = row

    filled = list(islice(all_rows(), limit + 1))
    return filled[:limit], len(filled) > limit


def filled_before(
    rows: Sequence[Row], limit: int, timeframe: Timeframe, *, previous: bool, until_us: int | None
) -> tuple[list[Row], bool]:
    """Return the last `limit` rows, gaps filled, and whether there are more.

    `until_us`: end of the gap after the last row.
    """

    def all_rows() -> Iterator[Row]:
        end_us = until_us
        for row in reversed(rows):
            if end_us is not None:
                start_us = timeframe.start_us(end_us - 1)
                while start_us > row["t"] * 1000:
                    yield _between(row, start_us, previous=previous)
                    start_us = timeframe.start_us(start_us - 1)
            yield row
            end_us = row["t"] * 1000

    filled = list(islice(all_rows(), limit + 1))
    return filled[:limit][::-1], len(filled) > limit


def _between(row: Row, start_us: int, *, previous: bool) -> Row:
    price = row["c"] if previous else None
    return {"t": start_us // 1000, **dict.fromkeys("ohlc", price), **_NOTHING}
