"""Times of recorded files, in the notations of programs and spreadsheets."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet
import pytest

from local.feeds.files.errors import FileError
from local.feeds.files.layouts import Choice, parse_columns
from local.feeds.files.opening import Progress
from local.feeds.files.times import Times
from local.feeds.files.trades import read_trades
from tests.local.feeds.test_files import lines, trades, written


@pytest.mark.parametrize(
    ("numbers", "expected"),
    [
        (("0", "500", "93000"), ("000000", "000500", "093000")),
        (("0", "133123", "93000123"), ("00:00:00.000", "00:01:33.123", "09:30:00.123")),
    ],
)
def test_times_of_day_without_leading_zeros_are_as_long_as_the_longest(
    numbers: tuple[str, ...], expected: tuple[str, ...], tmp_path: Path
) -> None:
    """Beside 93000, 0 is midnight and 500 is 00:05:00; beside 93000123 they are milliseconds."""
    rows = "".join(f"20250102,{each},A,1\n" for each in numbers)
    path = written(tmp_path / "t.csv", f"date,time,symbol,price\n{rows}")
    assert lines(path) == [f"A,1,,20250102 {each}" for each in expected]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("01/02/2025 09:30:00.123", "2025-01-02T09:30:00.123"),
        ("22/01/2025 9:30 PM", "2025-01-22T21:30:00"),
        ("02-Jan-2025 09:30", "2025-01-02T09:30:00"),
        ("20250102 93000", "2025-01-02T09:30:00"),
        ("20250102 093000 1230000", "2025-01-02T09:30:00.123"),
        ("20250702  09:30:00 US/Eastern", "2025-07-02T13:30:00"),
        ("01.02.2024 00:00:00.000 GMT-0530", "2024-02-01T05:30:00"),
        ("1/2/25 9:30", "2025-01-02T09:30:00"),
    ],
)
def test_a_notation_is_found_by_its_times(text: str, expected: str) -> None:
    """The notation of a column is found by its first times; the time is UTC without an offset."""
    time_us = int(datetime.fromisoformat(expected).replace(tzinfo=UTC).timestamp() * 1e6)
    assert Times([text]).us(text) == time_us


def test_times_without_an_offset_are_of_the_stated_zone(tmp_path: Path) -> None:
    """Times without an offset are of `--tz`, with its daylight saving; others keep theirs."""
    header = "symbol,price,time\n"
    summer, winter = "A,1,2024-07-01 09:30:00\n", "A,1,2024-12-02 09:30:00\n"
    path = written(tmp_path / "t.csv", f"{header}{summer}{winter}A,1,2024-07-01T09:30:00Z\n")
    choice = Choice(zone="America/New_York")
    (read,) = trades(path, choice)
    assert read.times_us().tolist() == [1719840600000000, 1733149800000000, 1719826200000000]
    for zone in ("Mars", "America"):
        with pytest.raises(FileError, match=f"no time zone '{zone}' is known"):
            lines(path, Choice(zone=zone))


def test_a_row_without_a_time_is_not_of_today(tmp_path: Path) -> None:
    """A row whose time is missing, where others have one, gets a text that is rejected."""
    content = "symbol,price,time\nA,1,1735689600\nA,2,\nA,3,null\n"
    assert lines(written(tmp_path / "t.csv", content)) == [
        *("A,1,,1735689600", "A,2,,missing", "A,3,,missing"),
    ]
    (tmp_path / "t.csv").write_text("symbol,price,time\nA,1,1735812000\nA,2,\n")
    columns, unit = parse_columns("time=time:s")
    choice = Choice(columns=columns, unit=unit)
    assert lines(tmp_path / "t.csv", choice) == ["A,1,,1735812000000000", "A,2,,missing"]
    (tmp_path / "t.csv").write_text("symbol,price,time\nA,1,\n")
    assert lines(tmp_path / "t.csv") == ["A,1"]


def test_a_later_block_without_times_is_not_of_today(tmp_path: Path) -> None:
    """A row group without any time is rejected once one before it had times."""
    path = tmp_path / "t.arrow"
    tables = [pa.table({"symbol": ["A"], "price": [1], "time": [t]}) for t in ("1735689600", "")]
    with pa.ipc.new_file(path, tables[0].schema) as file:
        for table in tables:
            file.write_table(table)
    assert lines(path) == ["A,1,,1735689600", "A,1,,missing"]


@pytest.mark.parametrize(
    ("header", "rows", "expected"),
    [
        (
            "time",
            ["01/13/2025 10:00:00", "null", "01/14/2025 10:00:00"],
            ["1736762400000000", "missing", "1736848800000000"],
        ),
        ("time", ["NaT", "13.01.2025 10:00:00"], ["missing", "1736762400000000"]),
        ("time", ["01/13/2025 10:00", "foo"], ["1736762400000000", "foo"]),
        ("time", ["2025-01-13 10:00", "foo"], ["2025-01-13 10:00", "foo"]),
        ("time", ["foo", "bar"], ["foo", "bar"]),
        (
            "date,time",
            ["01/13/2025,10:00:00", ",10:00:00"],
            ["1736762400000000", " 10:00:00"],
        ),
    ],
)
def test_an_unreadable_time_is_a_reject_by_itself(
    header: str, rows: list[str], expected: list[str], tmp_path: Path
) -> None:
    """A text that is not a time, or an absent one, leaves the notation of the others as it is."""
    text = "\n".join([f"{header},symbol,price", *(f"{row},A,1" for row in rows)])
    path = written(tmp_path / "t.csv", f"{text}\n")
    assert lines(path) == [f"A,1,,{each}" for each in expected]


def test_timestamps_without_a_zone_are_of_the_stated_zone(tmp_path: Path) -> None:
    """Parquet's naive timestamps are of `--tz`: the earlier of two, the later where one lacks."""
    path = tmp_path / "t.parquet"
    texts = ("2024-07-01 09:30", "2024-11-03 01:30", "2024-03-10 02:30")
    naive = pa.array([datetime.fromisoformat(each) for each in texts], pa.timestamp("ms"))
    symbols, prices = ["A"] * 3, [1] * 3
    pa.parquet.write_table(pa.table({"symbol": symbols, "price": prices, "time": naive}), path)
    (read,) = trades(path, Choice(zone="America/New_York"))
    assert read.times_us().tolist() == [1719840600000000, 1730611800000000, 1710054000000000]
    (read,) = trades(path)
    assert read.times_us()[0] == 1719826200000000


def test_a_date_column_can_be_named_without_a_header(tmp_path: Path) -> None:
    """`--columns date=1,time=2` joins date and time of day; the ambiguity is in the layout."""
    path = written(tmp_path / "A.txt", "01/02/2025,09:30:00,100.5,200\n")
    columns, unit = parse_columns("date=1,time=2,price=3,size=4")
    choice = Choice("A", columns=columns, unit=unit)
    assert lines(path, choice) == ["A,100.5,200,1735810200000000"]
    (layout, _), *_ = read_trades([path], choice, Progress())
    assert "its dates are read as month/day/year" in layout.describe()


def test_a_date_needs_a_time_of_day(tmp_path: Path) -> None:
    """A named date without a time, or beside a time since 1970, is refused with a fix.

    A unit alone makes a time since 1970 of a column beside one of dates.
    """
    with pytest.raises(FileError, match="leave out one of the two"):
        parse_columns("date=1,time=2:ms")
    path = written(tmp_path / "A.csv", "01/02/2025,100.5\n")
    columns, _ = parse_columns("date=1,price=2")
    with pytest.raises(FileError, match="date=1 needs a time of day"):
        lines(path, Choice("A", columns=columns))
    path.write_text("date,time,symbol,price\n1973-01-02,101010101,A,1\n")
    columns, unit = parse_columns("time=time:s")
    assert lines(path, Choice(columns=columns, unit=unit)) == ["A,1,,101010101000000"]


def test_a_number_that_reads_as_a_date_has_no_time(tmp_path: Path) -> None:
    """A time like 20250220093000, which the pipeline rejects, is not of the year 2611."""
    path = written(tmp_path / "t.csv", "symbol,price,time\nA,1,20250220093000\nA,1,1740043800000\n")
    (read,) = trades(path)
    assert read.times_us().tolist() == [-1, 1740043800000000]
