"""Times of recorded files, in the notations of programs and spreadsheets."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from local.feeds.files.errors import FileError
from local.feeds.files.layouts import Choice, parse_columns
from local.feeds.files.opening import Progress
from local.feeds.files.times import Times
from local.feeds.files.trades import read_trades
from tests.local.feeds.test_files import lines, trades, written


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        (
            "polygon-crypto.csv",
            "ticker,conditions,correction,exchange,id,participant_timestamp,price,size\n"
            "X:BTC-USD,2,,1,7,1735689600000000000,93500,0.01\n",
            "X:BTC-USD,93500,0.01,1735689600000000000,,1:7",
        ),
        (
            "sierra.csv",
            "Symbol, Date, Time, Price, Volume\nES, 2025/1/2, 9:30:00.123, 5900.25, 2\n",
            "ES,5900.25,2,1735810200123000",
        ),
        (
            "american.csv",
            "Symbol,Trade Date,Trade Time,Price\nA,01/22/2025,1:30:01 PM,1.5\n",
            "A,1.5,,1737552601000000",
        ),
        (
            "numbers.csv",
            "date,time,symbol,price\n20250102,93000,A,1.5\n",
            "A,1.5,,20250102 093000",
        ),
        (
            "milliseconds.csv",
            "date,Time (UTC),symbol,price\n20250102,93000123,A,1.5\n",
            "A,1.5,,20250102 09:30:00.123",
        ),
        (
            "dukascopy.csv",
            "Local time,symbol,price,time\nx,A,1.5,01.07.2024 02:00:00.123 GMT+0200\n",
            "A,1.5,,1719792000123000",
        ),
        (
            "mt5.csv",
            "<TICKER>\t<DATE>\t<TIME>\t<BID>\t<LAST>\t<VOLUME>\n"
            "A\t2025.01.02\t00:00:01.103\t1\t\t\nA\t2025.01.02\t00:00:01.103\t1\t1.5\t3\n",
            "A,1.5,3,2025.01.02 00:00:01.103",
        ),
        (
            "ES 03-25.Last.txt",
            "20250102 093000 1230000;5900.25;5900;5900.5;2\n",
            "ES 03-25,5900.25,2,1735810200123000",
        ),
    ],
)  # fmt: skip
def test_times_of_programs_are_read(name: str, content: str, expected: str, tmp_path: Path) -> None:
    """Dates and times of day in two columns, other notations and numbers are one time."""
    assert lines(written(tmp_path / name, content)) == [expected]


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
    with pytest.raises(FileError, match="no time zone 'Mars' is known"):
        lines(path, Choice(zone="Mars"))


def test_a_row_without_a_time_is_not_of_today(tmp_path: Path) -> None:
    """A row whose time is missing, where others have one, gets a text that is rejected."""
    content = "symbol,price,time\nA,1,1735689600\nA,2,\nA,3,null\n"
    assert lines(written(tmp_path / "t.csv", content)) == [
        *("A,1,,1735689600", "A,2,,missing", "A,3,,missing"),
    ]


def test_a_date_column_can_be_named_without_a_header(tmp_path: Path) -> None:
    """`--columns date=1,time=2` joins date and time of day; the ambiguity is in the layout."""
    path = written(tmp_path / "A.txt", "01/02/2025,09:30:00,100.5,200\n")
    columns, unit = parse_columns("date=1,time=2,price=3,size=4")
    choice = Choice("A", columns=columns, unit=unit)
    assert lines(path, choice) == ["A,100.5,200,1735810200000000"]
    (layout, _), *_ = read_trades([path], choice, Progress())
    assert "its dates are read as month/day/year" in layout.describe()
