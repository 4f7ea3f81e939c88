"""Headers of recorded files: behind a `#`, in another case, with a column of the event's kind."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from local.feeds.files.errors import FileError
from local.feeds.files.layouts import Choice
from local.feeds.files.opening import Progress
from local.feeds.files.trades import read_trades
from tests.local.feeds.test_files import lines, written


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("#,Price,Size,Time,Side\n1,1.5,100,1704067200000,buy\n", "instrument this is"),
        ("# symbol size price\nA,100,1.5\n", "comment '# symbol size price' may name"),
        ("# Symbole,Taille,Prix\nA,100,1.5\n", "--columns .* by number, 1 to 3"),
        ("# symbol,size,price\n# made by x\nA,100,1.5\n", "comment '# symbol,size,price' may name"),
        ("# symbol,price,size,at\nA,1.5,100,1704067200000\n", "may name"),
        ("# made by x\n\n# today\n", "has only comments"),
    ],
)
def test_a_comment_that_may_be_the_header_is_refused(
    content: str, reason: str, tmp_path: Path
) -> None:
    """Rows are not read by position where a comment may name their columns."""
    with pytest.raises(FileError, match=reason):
        lines(written(tmp_path / "t.csv", content))


def test_rows_of_other_events_are_left_out_and_counted(tmp_path: Path) -> None:
    """Of AlgoSeek's files, quotes and cancelled trades are no trades; so of other names."""
    table = (
        "Date,Timestamp,EventType,Ticker,Price,Quantity\n"
        "20250102,09:30:00.123,TRADE,A,1.5,2\n20250102,09:30:00.124,QUOTE BID NB,A,1.4,9\n"
        "20250102,09:30:00.125,TRADE CANCELLED,A,7.5,2\n20250102,09:30:00.126,TRADE NB,A,1.6,1\n"
    )
    progress = Progress()
    found = lines(written(tmp_path / "t.csv", table), progress=progress)
    assert [each.split(",")[1] for each in found] == ["1.5", "1.6"]
    kinds = {"QUOTE BID NB": 1, "TRADE CANCELLED": 1}
    assert progress.skipped == {f"rows whose EventType is {each}": n for each, n in kinds.items()}
    for name in ("event_type", "Record Type", "msg_type", "type"):
        path = written(tmp_path / "t.csv", f"symbol,{name},price\nA,BID,1\nA,Trade,2\nA,,3\n")
        assert lines(path) == ["A,2", "A,3"]
    assert lines(path, Choice(columns={"side": "type"}))[0] == "A,1"
    path = written(tmp_path / "t.csv", "symbol,type,price\nA,sell,1\nA,limit,2\n")
    assert lines(path) == ["A,1,,,sell", "A,2,,,"]


@pytest.mark.parametrize(
    ("kinds", "kept"),
    [
        (["Trade", "TradeCancel", "tradebreak", "TRADE_BUST", "TradeCorrection"], 1),
        (["trade", "Quote", "Asked", "order"], 1),
        (["Trades", "aggTrade", "TRADE BID", ""], 4),
        (["bid", "ask", "BID"], 3),
        (["Asked", "best execution", "quote"], 3),
    ],
)
def test_rows_are_left_out_where_others_name_trades(
    kinds: list[str], kept: int, tmp_path: Path
) -> None:
    """A column says the kind of events where a value is `trade`; a side left all trades out."""
    rows = "".join(f"A,{kind},1\n" for kind in kinds)
    progress = Progress()
    found = lines(written(tmp_path / "t.csv", f"symbol,type,price\n{rows}"), progress=progress)
    assert (len(found), progress.skipped.total()) == (kept, len(kinds) - kept)


@pytest.mark.parametrize(
    "kinds", ["REGULAR,Block Trade", "UT,Off-Book Trade", "Broker Trade,Trade"]
)
def test_kinds_of_trades_leave_no_row_out(kinds: str, tmp_path: Path) -> None:
    """A column whose values all may be trades tells no trade from another event."""
    rows = "".join(f"A,{each},1\n" for each in kinds.split(","))
    assert lines(written(tmp_path / "t.csv", f"symbol,type,price\n{rows}")) == ["A,1", "A,1"]


def test_columns_are_named_with_their_mark(tmp_path: Path) -> None:
    """A name of a header `#RIC` may be given as it stands there."""
    path = written(tmp_path / "t.csv", "#RIC,Date,Price\nA,2024-01-02T09:00:00Z,1.5\n")
    columns = {"symbol": "#RIC", "time": "Date", "price": "Price"}
    assert lines(path, Choice(columns=columns)) == ["A,1.5,,2024-01-02T09:00:00Z"]
    path = written(tmp_path / "t.csv", "Price,#Symbol\n1.5,A\n")
    assert lines(path, Choice(columns={"symbol": "#Symbol"})) == ["A,1.5"]


@pytest.mark.parametrize(
    "kind", [[{"trade": 1}], [["trade"]], [b"quote"], pa.array(["quote"]).dictionary_encode(), [1]]
)
def test_a_kind_that_is_not_text_is_unread(kind: Any, tmp_path: Path) -> None:
    """A nested or binary column `event` is named as unread; it was a traceback."""
    table = pa.table({"symbol": ["A"], "event": kind, "price": ["1"]})
    pq.write_table(table, tmp_path / "t.parquet")
    ((layout, found),) = read_trades([tmp_path / "t.parquet"], Choice(), Progress())
    assert (found.lines(), [*layout.unread]) == ([b"A,1"], ["event"])


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ("101,25;300", ["A,101.25,300"]),
        ("1.101,25;0,5\n7;", ["A,1101.25,0.5", "A,7,"]),
        ("12,345;1\n12,5;1", ["A,12.345,1", "A,12.5,1"]),
        ("12,345;300", ['A,"12,345",300']),
        ("101,25;1.500", ['A,"101,25",1.500']),
        ("1,234,567;1,5", ['A,"1,234,567","1,5"']),
        ("101.25;0.5", ["A,101.25,0.5"]),
        ("101,25;1e-05\nx;0,5", ["A,101.25,1e-05", "A,x,0.5"]),
    ],
)
def test_a_decimal_comma_is_read_where_it_can_be_no_other(
    rows: str, expected: list[str], tmp_path: Path
) -> None:
    """European numbers are read; where the comma could separate thousands, it is a reject."""
    path = written(tmp_path / "t.csv", f"price;size\n{rows}\n")
    assert lines(path, Choice("A")) == expected


@pytest.mark.parametrize("first", ["101,25", "12,345", "101.25"])
def test_a_decimal_comma_is_of_the_whole_file(first: str, tmp_path: Path) -> None:
    """The first block decides: a price of a later one was read by the others of its block."""
    later = ["12,345", "101,25", "1.500", "0.5"]
    rows = [f"A;{first}"] * 600_000 + [f"A;{each}" for each in later]
    found = lines(written(tmp_path / "t.csv", "symbol;price\n" + "\n".join(rows)))[-4:]
    refused = ['A,"12,345"', 'A,"101,25"', "A,1.500", "A,0.5"]
    european = ["A,12.345", "A,101.25", 'A,"1,500"', "A,0.5"]
    assert found == (european if first == "101,25" else refused)


def test_a_european_file_without_a_header_is_read(tmp_path: Path) -> None:
    """A row such as `2024-01-02 09:00:00;101,25;300` is read by the numbers of its columns."""
    path = written(tmp_path / "t.csv", "2024-01-02 09:00:00;101,25;300\n")
    columns = {"time": "1", "price": "2", "size": "3"}
    assert lines(path, Choice("A", columns)) == ["A,101.25,300,2024-01-02 09:00:00"]
