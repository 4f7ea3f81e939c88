"""Recorded files are read as trades, whatever program wrote or compressed them."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import zipfile
from pathlib import Path

import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from local.feeds.files.errors import FileError
from local.feeds.files.layouts import Choice, layout_of_rows, parse_columns
from local.feeds.files.opening import Progress
from local.feeds.files.trades import Trades, read_trades
from local.feeds.tick import Tick

symbols = st.from_regex(r"[A-Z][A-Z0-9./:_-]{0,11}", fullmatch=True)
prices = st.decimals(min_value="0.00000001", max_value=10**9, places=8).map(lambda d: f"{d:f}")
ticks = st.builds(
    Tick,
    symbols.filter(lambda name: name.lower() not in ("symbol", "s", "price")),
    prices,
    st.one_of(st.just(""), prices),
    st.one_of(st.none(), st.integers(4 * 10**11, 4 * 10**12)),
    st.sampled_from(["buy", "sell", ""]),
    st.one_of(st.just(""), st.integers(0, 2**63).map(str), st.uuids().map(str)),
    st.sampled_from(["", "@TI"]),
)  # fmt: skip


def trades(
    path: Path, choice: Choice | None = None, progress: Progress | None = None
) -> list[Trades]:
    found = read_trades([path], choice or Choice(), progress or Progress())
    return [each for _, each in found]


def lines(path: Path, choice: Choice | None = None, progress: Progress | None = None) -> list[str]:
    return [line.decode() for each in trades(path, choice, progress) for line in each.lines()]


def written(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def zipped(path: Path, members: dict[str, str]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in members.items():
            archive.writestr(name, text)
    return path


@settings(
    max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)
@given(recorded=st.lists(ticks, min_size=1, max_size=20))
def test_written_lines_are_read_as_the_same_ticks(recorded: list[Tick], tmp_path: Path) -> None:
    """Ticks written as lines are read back unchanged, however compressed."""
    full = [
        f"{t.symbol},{t.price},{t.size},{t.time_ms or ''},{t.side},{t.trade_id},{t.conditions}"
        for t in recorded
    ]
    content = ("\r\n".join(full) + "\n").encode()
    packed = [
        written(tmp_path / "ticks.csv", content),
        written(tmp_path / "ticks.csv.gz", gzip.compress(content)),
        written(tmp_path / "ticks.csv.zst", zstandard.compress(content)),
        written(tmp_path / "ticks.csv.bz2", bz2.compress(content)),
        written(tmp_path / "ticks.csv.xz", lzma.compress(content)),
        written(tmp_path / "ticks.txt", content.decode().encode("utf-16")),
        zipped(tmp_path / "ticks.zip", {"ticks.csv": content.decode()}),
    ]
    for path in packed:
        assert [tick for each in trades(path) for tick in each.ticks()] == recorded


def test_an_archive_of_futures_has_one_contract_per_file(tmp_path: Path) -> None:
    """Each member of Lean's zip is read under its own name."""
    path = zipped(
        tmp_path / "20131008_trade.zip",
        {
            "20131008_gc_tick_trade_201310.csv": "14463482,1326.5,1,usa,,0\n",
            "20131008_gc_tick_trade_201311.csv": "14463482,1327.5,2,usa,,0\n",
        },
    )
    assert lines(path) == [
        "GC201310,1326.5,1,1381219263482000",
        "GC201311,1327.5,2,1381219263482000",
    ]


def test_a_named_column_is_not_reported_as_unread() -> None:
    """A column named by the user is not reported as unread, and others are."""
    rows = [["symbol", "price", "when", "note"], ["A", "1", "1735689600", "x"]]
    columns, unit = parse_columns("time=when:s")
    found = layout_of_rows("t.csv", "", rows, Choice(columns=columns, unit=unit))
    assert list(found.unread) == ["note"]


def test_columns_can_be_named_by_the_user(tmp_path: Path) -> None:
    """The user can name the columns where the guess is missing or wrong."""
    path = written(tmp_path / "t.csv", "pair,px,n,when\nA,1.5,2,1735689600\n")
    columns, unit = parse_columns("symbol=pair,price=px,size=n,time=when:s")
    assert lines(path, Choice(columns=columns, unit=unit)) == ["A,1.5,2,1735689600000000"]
    for text in ("price", "prize=px", "price="):
        with pytest.raises(FileError, match="is not FIELD=COLUMN"):
            parse_columns(text)
    path.write_text("who, what,when\nA, 1.5,1735689600\n")
    columns, unit = parse_columns("symbol=who,price=what,time=when:s")
    assert lines(path, Choice(columns=columns, unit=unit)) == ["A,1.5,,1735689600000000"]
    with pytest.raises(FileError, match="names 'x'; the columns are who, what, when"):
        lines(path, Choice(columns={"price": "x"}))
    path.write_text("1735689600,1.5,A,7\n")
    columns, unit = parse_columns("symbol=3,price=2,time=1:s,size=4")
    assert lines(path, Choice(columns=columns, unit=unit)) == ["A,1.5,7,1735689600000000"]
    path.write_text("pair,px,n,when\nA,1.5,2,1735689600\n")
    with pytest.raises(FileError, match="the columns are pair, px, n, when"):
        lines(path, Choice(columns={"price": "x"}))


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("public_trades_list.csv", ",timestamp,id,price\n0,1675329600138,1,2\n", "with --symbol"),
        ("x.csv", "1,2,3,4,5\n", "--columns"),
        ("x.csv", "2025-01-02 04:00:00.123,224.57,100\n", "which column is which"),
        ("x.csv", "20250101 170014603,1.03503,1.03533,0\n", "which column is which"),
        ("x.csv", "7,1735689600123,97000.5,0.01,buy\n", "which column is which"),
        ("x.csv", "symbol,price,made_at_utc\nA,1,2025\n", "known to be the time, among made_at"),
        ("x.csv", "symbol,price,when_\nA,1,1735689600123\n", "known to be the time, among when_"),
        ("x.csv", "x1,price,symbol\n1735689600,1,A\n", "known to be the time, among x1"),
        ("x.csv.xz", lzma.compress(b"A,1\n" * 9_999)[:60], "cannot be"),
        ("x.csv", "", "is empty"),
        ("x.bin", b"\0\1\2\3" * 100, "convert it to CSV"),
        ("x.ndjson", '{"symbol":"A","price":1}\n{"symbol":\n', "row 2 is not JSON"),
        ("x.json", "[1,", "is not JSON"),
        ("20131007_spy_minute_trade.csv", "1,2,3,4,5,6\n", "not trade ticks"),
        ("x.csv.gz", gzip.compress(b"A,1\n" * 9_999, mtime=0)[:60], "cannot be"),
        ("x.csv", "symbol,price\nA,1\nB,2,3,4\n", "has 4 fields, not"),
    ],
)  # fmt: skip
def test_an_unreadable_file_is_one_line_with_a_fix(
    name: str, content: str | bytes, message: str, tmp_path: Path
) -> None:
    """An unreadable file is one line with its name and a fix."""
    with pytest.raises(FileError, match=message) as raised:
        lines(written(tmp_path / name, content))
    assert name.removesuffix(".gz").removesuffix(".xz") in str(raised.value)
    assert "\n" not in str(raised.value)


def test_directories_and_several_files_are_read_in_order(tmp_path: Path) -> None:
    """Directories and several files are read by name, with the progress over all bytes."""
    for name, price in (("b", 2), ("a", 1)):
        written(tmp_path / f"{name}.csv", f"X,{price}\n")
    progress = Progress()
    assert lines(tmp_path, progress=progress) == ["X,1", "X,2"]
    assert progress.fraction == 1.0
    with pytest.raises(FileError, match="no such file"):
        lines(tmp_path / "none.csv")


def test_hidden_files_and_checksums_are_no_data(tmp_path: Path) -> None:
    """Of directories and archives, files of macOS and Spark and checksums are left out."""
    hidden = {"__MACOSX/._a.csv": "\0\5", ".DS_Store": "\0", "_SUCCESS": "", "a.csv.CHECKSUM": "7f"}
    zipped(tmp_path / "a.zip", {**hidden, "a.csv": "X,1\n"})
    for name in (".DS_Store", "_SUCCESS", "a.zip.CHECKSUM"):
        written(tmp_path / name, "7f")
    assert lines(tmp_path) == ["X,1"]


def test_standard_input_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Standard input is read as a file with the same bytes."""

    class Standard:
        buffer = io.BufferedReader(io.BytesIO(b"X,1\n"))

    monkeypatch.setattr("sys.stdin", Standard())
    assert lines(Path("-")) == ["X,1"]


def test_rows_without_an_id_get_one_from_content_and_row(tmp_path: Path) -> None:
    """Rows without an id get one from file content and row, and existing ids stay.

    The same file gives the same ids, another file others.
    """
    first = written(tmp_path / "a.csv", "X,1,1,1735689600000,buy,7\nX,1,1,1735689600000,,\n")
    same = written(tmp_path / "b.csv", first.read_bytes())
    other = written(tmp_path / "c.csv", first.read_bytes() + b"X,1\n")

    def ids(path: Path) -> list[str]:
        return [t.trade_id for each in trades(path) for t in each.with_ids().ticks()]

    assert ids(first) == ids(same)
    assert ids(first)[0] == ids(other)[0] == "7"
    assert len({*ids(first), *ids(other)}) == 1 + 1 + 2


def test_a_generated_id_has_the_row_of_the_file(tmp_path: Path) -> None:
    """Rows that are left out are counted: others left out gave a trade the id of another row."""
    path = written(tmp_path / "t.csv", "ts_event,action,symbol,price,size\n1,A,A,1,2\n2,T,A,3,4\n")
    (found,) = trades(path)
    assert found.with_ids().columns["trade_id"].to_pylist() == [f"{found.identity}.3"]


def test_numbers_of_json_never_become_floats(tmp_path: Path) -> None:
    """JSON numbers with more digits than a double are exact."""
    text = "61837.123456789012345678"
    path = written(tmp_path / "x.ndjson", f'{{"symbol":"A","price":{text}}}\n')
    assert lines(path) == [f"A,{text}"]
    path = written(tmp_path / "x.json", json.dumps([{"symbol": "A", "price": "1"}]))
    assert lines(path) == ["A,1"]
