"""Response formats of rows that are rendered as they are read."""

from __future__ import annotations

from decimal import Decimal

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from functions.history_query.api.formats import MEDIA_TYPES, Content, Row, RowsOnRead, rendered
from functions.history_query.api.streaming import streamed
from shared.errors import TransientError


@pytest.mark.parametrize("count", [0, 1, 1_000, 2_500])
def test_rows_on_read_are_rendered_as_a_list_is(count: int) -> None:
    """Each format is the same of rows rendered on read, a thousand at most at once, and of a list.

    So are their items; JSON is that of one object.
    """
    largest = times = 0

    def made(rows: range) -> list[Row]:
        nonlocal largest, times
        largest, times = max(largest, len(rows)), times + 1
        values = dict.fromkeys((*"ohlcv", "bv", "sv"), "1.5")
        return [{"t": each * 60_000, **values, "n": each, "closed": True} for each in rows]

    envelope, names = {"symbol": "A/B", "timeframe": "1m"}, ("t", *"ohlcv", "n", "closed")
    rows, listed = RowsOnRead(count, made), made(range(count))
    largest = 0
    for name in MEDIA_TYPES:
        bodies = [
            rendered(Content("rows", envelope, each, "after", columns=names), name)
            for each in (rows, iter(rows), listed)
        ]
        assert bodies[0] == bodies[1] == bodies[2], name
        if name == "json":
            assert bodies[0] == orjson.dumps({**envelope, "rows": listed, "next": "after"})
    assert [*reversed(rows)] == listed[::-1]
    assert largest == min(count, 1_000)
    assert [*rows] == listed
    times = 0
    assert rows[1:-1] == listed[1:-1]
    assert times <= 1
    assert rows[:-1] == listed[:-1]
    assert rows[::-2] == listed[::-2]
    if count:
        assert (rows[0], rows[-1]) == (listed[0], listed[-1])


@pytest.mark.parametrize("vwap", ["12345678901.123456789", "1" + "0" * 19, "-98765432109.5"])
def test_tables_have_the_vwap_of_high_prices(vwap: str) -> None:
    """Arrow and Parquet have a VWAP of more than ten digits before the point."""
    rows: list[Row] = [{"t": 0, "vw": vwap}, {"t": 60_000, "vw": None}]
    content = Content("candles", {}, rows, None)
    for name, read in (("arrow", pa.ipc.open_stream), ("parquet", pq.ParquetFile)):
        table = read(pa.BufferReader(rendered(content, name)))
        column = (table.read_all() if name == "arrow" else table.read())["vw"]
        assert column.to_pylist() == [Decimal(vwap), None], name


def test_what_fails_in_the_first_part_of_a_stream_fails_before_the_response() -> None:
    """A store that is away while the first part is rendered still sets the status."""

    def row(_: int) -> Row:
        raise TransientError("Postgres is away")

    with pytest.raises(TransientError):
        streamed("ndjson", lambda: (Content("", {}, map(row, [1]), None), False))
