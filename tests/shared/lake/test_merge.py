"""Sorted files are merged as a stream: all rows in order, whole groups, bounded memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.lake.tables import merge
from shared.lake.tables.merge import merged
from shared.lake.tables.tick_table import each_trade_once
from shared.market.utc_days import day_of
from tests.functions.history_query.market import generated
from tests.shared.lake.house import House

GROUP_US = 60_000_000
TIME = pa.timestamp("us", "UTC")
Row = tuple[str, int]
ROWS = st.lists(st.tuples(st.sampled_from(["A", "B", "C"]), st.integers(0, 5 * GROUP_US)))


def source(rows: list[Row], size: int) -> Iterator[pa.Table]:
    """The sorted rows, so many in a table."""
    rows = sorted(rows)
    for first in range(0, len(rows), size):
        symbols, times = zip(*rows[first : first + size], strict=True)
        yield pa.table({"symbol": pa.array(symbols), "time": pa.array(times, TIME)})


def rows_of(table: pa.Table) -> list[Row]:
    times = table["time"].cast(pa.int64()).to_pylist()
    return list(zip(table["symbol"].to_pylist(), times, strict=True))


def fold(table: pa.Table) -> pa.Table:
    return table.sort_by([("symbol", "ascending"), ("time", "ascending")])


@given(files=st.lists(ROWS, max_size=6), size=st.integers(1, 5), step=st.integers(1, 20))
def test_any_files_come_out_as_one_sorted_stream_of_whole_groups(
    files: list[list[Row]], size: int, step: int
) -> None:
    """Any files merge to one sorted stream of all rows, and no group is split."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(merge, "_STEP", step)
        parts = [rows_of(part) for part in merged(
            [source(rows, size) for rows in files], ("symbol", "time"), GROUP_US, fold
        )]  # fmt: skip
    assert [row for part in parts for row in part] == sorted(row for rows in files for row in rows)
    groups = [{(symbol, us // GROUP_US) for symbol, us in part} for part in parts]
    assert sum(map(len, groups)) == len(set().union(*groups))


def test_what_a_merge_holds_does_not_grow_with_the_files() -> None:
    """The peak of rows in memory is the same for four times the rows."""
    peaks = []
    for count in (50_000, 200_000):
        held = 0

        def counted(table: pa.Table) -> pa.Table:
            nonlocal held
            held = max(held, len(table))
            return fold(table)

        files = [
            [(f"S{n % 500:03}", n * 7_000 + file) for n in range(count // 8)] for file in range(8)
        ]
        rows = sum(len(part) for part in merged(
            [source(some, 1_000) for some in files], ("symbol", "time"), GROUP_US, counted
        ))  # fmt: skip
        assert rows == count
        peaks.append(held)
    assert peaks[1] <= 2 * peaks[0]


def test_ticks_of_many_hours_are_put_together_once_and_cut(
    lake: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ticks of many hours are merged once and then split.

    Of history, whose segments have a few ticks each, a cut of all pieces for each hour took the
    copy longer than its time.
    """
    ticks = generated(21, 40, 50 * 60_000_000)
    pieces = []

    def counted(rows: pa.Table) -> pa.Table:
        pieces.append(rows["time"].num_chunks)
        return each_trade_once(rows)

    monkeypatch.setattr("shared.lake.maintenance.snapshot.each_trade_once", counted)
    lake.put(ticks, size=1)
    assert lake.copy() == len(ticks)
    assert pieces == [1]
    per_day = Counter(day_of(tick.time_us) for tick in ticks)
    assert lake.sql("SELECT day, taken FROM lake_days ORDER BY day") == sorted(per_day.items())
