"""Row groups of a file: pruned by symbol and time, read a few at once, cached; their encoding."""

from __future__ import annotations

import threading
from typing import Any, Final

import duckdb
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from shared.lake.catalog import Catalog, commit
from shared.lake.reading import reader as module
from shared.lake.reading.plan import Plan
from shared.lake.reading.reader import LakeReader, _runs
from shared.lake.tables.definitions import TICKS
from shared.lake.tables.files import write
from shared.lake.tables.tick_table import to_rows, to_table
from shared.market.utc_days import day_of
from tests.functions.history_query.market import START_US, Tick, batches, generated
from tests.shared.lake.house import House

EVER: Final = 0, 10**16
TICKS_OF_ONE: Final = [
    tick for tick in generated(31, 250, 1_000_000) if tick.time_us > START_US + 40_000_000
]
"""All of one UTC day."""
GROUP: Final = 16


@pytest.fixture
def file(lake: House) -> tuple[Plan, bytes]:
    """A file of three symbols in groups of 16 rows, some of two symbols, and its bytes."""
    rows = pa.concat_tables(
        to_table(batches(TICKS_OF_ONE, symbol, 1_000)).sort_by("time") for symbol in "ABC"
    )
    with lake.postgres.connection() as connection:
        table = Catalog(connection, lake.access).table(TICKS)
        day = day_of(TICKS_OF_ONE[0].time_us)
        (file,) = write(table, day, iter([rows]), TICKS, row_group=GROUP)
        commit(table, [file])
        body = table.io.new_input(file.file_path).open().read()
        return Plan(EVER, 0, table.metadata_location), body


def times(ticks: list[Tick]) -> list[int]:
    return sorted(tick.time_us for tick in ticks)


@pytest.mark.parametrize("newest", [False, True])
def test_a_symbol_is_read_whole_forwards_and_backwards(
    lake: House, file: tuple[Plan, bytes], *, newest: bool
) -> None:
    """A symbol is read whole in both directions, without neighbours in shared row groups."""
    reader, plan = LakeReader(lake.access), file[0]
    for symbol in "ABC":
        series = {"symbol": symbol}
        groups = list(reader.groups(plan, series, *EVER, newest=newest))
        assert GROUP * (len(groups) - 2) < len(TICKS_OF_ONE) <= GROUP * len(groups)
        read = list(reader.read(groups, series, to_rows))
        assert [group for group, _ in read] == groups
        found = [time for _, rows in read for time in rows.time_us.tolist()]
        assert sorted(found) == times(TICKS_OF_ONE)
        order = [group.last_us if newest else group.first_us for group in groups]
        assert order == sorted(order, reverse=newest)


def test_only_groups_of_the_times_are_read(lake: House, file: tuple[Plan, bytes]) -> None:
    """Only row groups with the symbol and times, by the file's statistics, are read."""
    reader, (plan, _) = LakeReader(lake.access), file
    low, high = times(TICKS_OF_ONE)[100], times(TICKS_OF_ONE)[101] + 1
    some = list(reader.groups(plan, {"symbol": "B"}, low, high))
    assert 1 <= len(some) <= 4
    assert all(low <= group.first_us <= group.last_us < high for group in some)
    assert not list(reader.groups(plan, {"symbol": "D"}, *EVER))


def test_what_was_read_is_held_and_neighbours_are_one_request(
    lake: House, file: tuple[Plan, bytes]
) -> None:
    """Columns that were read are cached, and up to four adjacent groups are one request."""
    reader, (plan, _) = LakeReader(lake.access), file
    series = {"symbol": "B"}
    groups = list(reader.groups(plan, series, *EVER))
    read = dict(reader.read(groups, series, to_rows))
    again = dict(reader.read(groups, series, to_rows))
    assert all(again[group] is read[group] for group in groups)
    groups.sort(key=lambda group: group.number)
    for order in (groups, groups[::-1]):
        sizes = [len(run) for run in _runs(order)]
        assert max(sizes) == 4
        assert sizes == [4] * (len(groups) // 4) + [len(groups) % 4] * (len(groups) % 4 > 0)
    apart = groups[::2]
    assert [len(run) for run in _runs(apart)] == [1] * len(apart)


def test_footers_of_several_days_are_read_at_once(
    lake: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A first request for a month does not wait for one day after the other."""
    ticks = generated(32, 200, 3_600_000_000)
    lake.put(ticks)
    lake.copy()
    days = len(lake.files())
    assert days >= 4
    together = threading.Barrier(min(days, module._FOOTERS_AT_ONCE), timeout=30)
    whole = module._FORMAT

    class Waiting:
        def make_fragment(self, *arguments: Any, **more: Any) -> Any:
            if not read.is_set():
                together.wait()
                read.set()
            return whole.make_fragment(*arguments, **more)

    read = threading.Event()
    monkeypatch.setattr(module, "_FORMAT", Waiting())
    with lake.postgres.connection() as connection:
        table = Catalog(connection, lake.access).table(TICKS)
    plan = Plan(EVER, 0, table.metadata_location)
    groups = list(LakeReader(lake.access).groups(plan, {"symbol": lake.symbol}, *EVER))
    assert sum(group.rows for group in groups) == len(ticks)


def test_numbers_and_times_are_written_as_differences(
    file: tuple[Plan, bytes], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Numbers and times are delta-encoded, others use dictionaries.

    DuckDB and Polars read what Arrow reads.
    """
    path = tmp_path_factory.mktemp("lake") / "file.parquet"
    path.write_bytes(file[1])
    group = pq.read_metadata(path).row_group(0)
    encodings = {
        group.column(n).path_in_schema: set(group.column(n).encodings)
        for n in range(group.num_columns)
    }
    for name, kinds in encodings.items():
        is_number = name in ("time", "receive_time", "sequence", "trade_id")
        assert ("DELTA_BINARY_PACKED" in kinds) == is_number, name
        assert ("RLE_DICTIONARY" in kinds) != is_number, name
    columns = ["symbol", "price", "trade_id", "sequence"]
    whole = pq.read_table(path, columns=[*columns, "time"])
    should = [tuple(row.values()) for row in whole.select(columns).to_pylist()]
    assert pl.read_parquet(path, columns=columns).rows() == should
    assert pl.read_parquet(path)["time"].to_arrow().cast(pa.int64()).to_pylist() == [
        row.value for row in whole["time"].combine_chunks()
    ]
    query = f"SELECT {', '.join(columns)}, epoch_us(time) FROM read_parquet(?)"
    with duckdb.connect() as duck:
        found = duck.execute(query, [str(path)]).fetchall()
    assert found == [
        (*row, time.value) for row, time in zip(should, whole["time"].combine_chunks(), strict=True)
    ]
