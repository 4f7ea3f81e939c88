"""Similar JSON lines are read at once and give what the JSON parser gives."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from local.feeds.files import json_tables
from local.feeds.files.errors import FileError
from local.feeds.files.layouts import FIELDS, Choice
from local.feeds.files.opening import Progress
from local.feeds.files.trades import read_trades
from tests.local.feeds.test_files import lines, written

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12) | st.sampled_from(
    ["null", "true", '"', "\\", "a:b", ", ", "{", "}", "1", "buy", "2025-01-01T00:00:00Z", "\t"]
)
NUMBERS = st.sampled_from(
    [
        "0",
        "-0",
        "1.50",
        "-37.63",
        "1e-7",
        "1E+5",
        "12345678901234567890.000000000000000001",
    ]
)
PLAIN = NUMBERS | st.sampled_from(["null", "true", "false", "[]"])
ODD = st.sampled_from(["01", "1.", ".5", "NaN", "-Infinity", "+1", "{}", '{"a": 1}', "[1]", "tru"])
NAMES = ("symbol", "s", "price", "p", "amount", "ts", "side", "m", "id", "c", "extra", "größe")


@st.composite
def documents(draw: st.DrawFn) -> list[str]:
    """Lines of a few forms; some differ, and some are no JSON."""
    lines = []
    for _ in range(draw(st.integers(1, 3))):
        names = draw(st.lists(st.sampled_from(NAMES), min_size=1, max_size=6))
        texts = draw(st.sets(st.sampled_from(names)))
        colon, comma = draw(st.sampled_from([(":", ","), (": ", ", "), (" : ", " ,")]))
        odd = draw(st.booleans())

        def value(name: str, texts: set[str] = texts, odd: bool = odd) -> str:
            if name in texts:
                return json.dumps(draw(TEXTS), ensure_ascii=draw(st.booleans()))
            return draw(PLAIN | ODD if odd else PLAIN)

        for _ in range(draw(st.integers(1, 5))):
            pairs = (f'"{name}"{colon}{value(name)}' for name in names)
            lines.append("{" + comma.join(pairs) + "}")
    return draw(st.permutations(lines))


def one_by_one(path: Path, lines: list[str]) -> list[tuple[str, ...]] | None:
    """The JSON parser's result of each line; None where it refuses one."""
    try:
        objects = list(json_tables._objects(path, lines))  # type: ignore[arg-type]
    except FileError:
        return None
    return _rows(json_tables.tables_of(map(json_tables._fields, objects), FIELDS))


def _rows(tables: Iterable[pa.Table]) -> list[tuple[str, ...]]:
    return [row for table in tables for row in zip(*table.to_pydict().values(), strict=True)]


@given(documents())
def test_lines_read_at_once_equal_the_parser(lines: list[str]) -> None:
    """Lines read at once give the parser's columns, or are left to the parser."""
    expected = one_by_one(Path("x"), lines)
    try:
        tables = list(json_tables._json_tables(Path("x"), iter([pa.array(lines)])))  # type: ignore[arg-type]
    except FileError:
        assert expected is None
        return
    assert _rows(tables) == expected


@given(documents())
@example(['{"symbol": "A\tB"}'])
@example(['{"symbol": "A", "price": 1.}'])
@example(['{"sym\tbol": "A"}'])
def test_lines_read_at_once_are_json(lines: list[str]) -> None:
    """No line is read at once that the parser would refuse or read differently."""
    for line, found in zip(lines, json_tables._alike(lines), strict=False):
        parsed = json.loads(line, parse_float=str, parse_int=str)
        raw = {
            name: json.loads(bytes(each), parse_float=str, parse_int=str)
            for name, each in found.items()
        }
        assert raw == parsed


def test_plain_lines_are_read_at_once() -> None:
    """Trades as programs write them are read at once; those of several kinds one by one."""
    alike = [f'{{"symbol": "A", "price": {n}.50, "side": "buy", "c": []}}' for n in range(50)]
    others = ['{"s":"B","p":"1"}', '{"symbol": "\\u0041", "price": 1}', '{"price": {"a": 1}}']
    assert len(json_tables._alike(alike)) == 50
    assert [json_tables._alike([*alike, each]) for each in others] == [[]] * 3


@pytest.mark.parametrize("end", ["\n", "\r\n", "\n\n \n"])
def test_a_file_of_lines_is_read_in_its_order(tmp_path: Path, end: str) -> None:
    """Lines are read in order; blank ones and a byte order mark are skipped."""
    lines = [f'{{"symbol":"A","price":{n},"id":{n}}}' for n in range(1, 8)]
    lines[3] = '{ "symbol":"A", "nested": {"a": [1]}, "price":4, "id":4}'
    lines[5] = '{"symbol":"\\u0041","price":6,"id":6}'
    path = tmp_path / "x.ndjson"
    path.write_bytes(("\ufeff" + end.join(lines)).encode())
    found = [line for _, some in read_trades([path], Choice(), Progress()) for line in some.lines()]
    assert found == [f"A,{n},,,,{n}".encode() for n in range(1, 8)]


@pytest.mark.parametrize("line", ['{"symbol":"A","price":1.}', '{"symbol":"A\tB","price":1}'])
def test_a_line_that_is_no_json_is_named(tmp_path: Path, line: str) -> None:
    """The error of an invalid line has its number, not counting blank lines."""
    path = tmp_path / "x.ndjson"
    path.write_text(f'{{"symbol":"A","price":1}}\n\n{line}\n')
    with pytest.raises(FileError, match="row 2 is not JSON"):
        list(read_trades([path], Choice(), Progress()))


def test_an_empty_maker_flag_is_no_side(tmp_path: Path) -> None:
    """An empty buyer-is-maker flag of an array's object gives no side, like that of a line."""
    path = tmp_path / "trades.json"
    trade = '{"symbol": "A", "price": 1, "time": 1740043800000, "m": ""}'
    for content in (trade, f"[{trade}]"):
        path.write_text(content)
        ((_, read),) = read_trades([path], Choice(), Progress())
        assert read.columns["side"].to_pylist() == [""]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('{"results":[{"price":1.5}],"status":"OK"}', "nested in 'results': .* jq -c"),
        ('{"error":[],"result":{"XXBTZUSD":[["1.5","2"]]}}', "nested in 'result'"),
        ('{"info":{"a":1},"rate":1.5}', "nested in 'info'"),
        ('{\n "trades": [\n{"p": 1.5}]}', "row 1 is not JSON: .* jq -c"),
    ],
)
def test_an_answer_of_an_api_is_refused_with_the_way_out(
    text: str, reason: str, tmp_path: Path
) -> None:
    """Nested trades are refused with a command that helps; --columns did not."""
    with pytest.raises(FileError, match=reason):
        lines(path := written(tmp_path / "t.json", text))
    if "rate" in text:
        assert lines(path, Choice("A", {"price": "rate"})) == ["A,1.5"]
