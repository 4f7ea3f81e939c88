"""Similar JSON lines are read at once and give what the JSON parser gives."""

from __future__ import annotations

from pathlib import Path

import pytest

from local.feeds.files.errors import FileError
from local.feeds.files.layouts import Choice
from local.feeds.files.opening import Progress
from local.feeds.files.trades import read_trades
from tests.local.feeds.test_files import lines, written


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
