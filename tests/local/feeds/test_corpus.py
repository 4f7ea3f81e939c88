"""Vendors' files and bodies, as documented, with their right answers: corpus.txt.

A case is `=== FILE file|body|both [symbol=A]  NOTE`, its content, and behind `---` its outcome:
`SYMBOL PRICE SIZE TIME_US SIDE TRADE_ID FLAGS` of each trade, how many rows were left out, the code
of each reject, the columns that were not read, or why all is refused. Where files and bodies differ
each has its own outcome.
"""

from __future__ import annotations

import csv
import re
from decimal import Decimal
from pathlib import Path
from typing import Final, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from functions.udp_bridge.bodies import cut
from local.feeds.files.errors import FileError
from local.feeds.files.layouts import Choice
from local.feeds.files.opening import Progress
from local.feeds.files.trades import read_trades
from shared.inputs.columns.parsed import FeedRules, Parsed
from shared.inputs.formats import parse
from shared.inputs.objects.fields import is_header
from shared.wire.raw_batch import FORMAT_CSV, RawBatch
from shared.wire.ticks import AUCTION, INTEGER_ID, ODD_LOT, OUT_OF_SEQUENCE, VOLUME_ONLY

NOW_US: Final = 1_800_000_000_000_000
CORPUS: Final = Path(__file__).with_name("corpus.txt").read_text()
HEAD: Final = re.compile(r"(.+?\.\w+) (file|body|both)(?: symbol=(\S+))?(?:  (.*))?")
FLAGS: Final = {
    VOLUME_ONLY: "volume_only",
    ODD_LOT: "odd_lot",
    AUCTION: "auction",
    OUT_OF_SEQUENCE: "out_of_sequence",
}
CONTENT_TYPES: Final = {"csv": "text/csv", "json": "application/json"}


class Case(NamedTuple):
    name: str
    ways: tuple[str, ...]
    symbol: str | None
    content: str
    outcome: dict[str, list[str]]


def cases() -> list[Case]:
    """The cases of the corpus."""
    found = []
    for text in CORPUS.split("=== ")[1:]:
        head, _, body = text.partition("\n")
        match = HEAD.fullmatch(head)
        assert match, head
        name, way, symbol, _ = match.groups()
        content, *outcomes = re.split(r"^---", body, flags=re.MULTILINE)
        ways = ("file", "body") if way == "both" else (way,)
        outcome = dict[str, list[str]]()
        for each in outcomes:
            one, _, expected = each.partition("\n")
            outcome |= dict.fromkeys([one.strip()] if one else ways, expected.splitlines())
        content = content.replace("\\t", "\t").replace("\\ufeff", "\ufeff")
        found.append(Case(name, ways, symbol, content, outcome))
    return found


def outcome(parsed: Parsed, left_out: int = 0, unread: tuple[str, ...] = ()) -> list[str]:
    """The fate of each row, as the corpus writes it."""
    rows, found = parsed.rows, []
    for i in sorted(range(len(rows)), key=lambda i: (int(rows.payload[i]), int(rows.line[i]))):
        id_ = str(rows.trade_id[i]) if rows.id_kind[i] == INTEGER_ID else "-"
        flags = 0 if rows.flags is None else int(rows.flags[i])
        fields = (
            rows.names[rows.symbol[i]].replace(" ", "_"),
            format(Decimal(int(rows.price[i])).scaleb(-int(rows.price_scale[i])), "f"),
            format(Decimal(int(rows.size[i])).scaleb(-int(rows.size_scale[i])), "f"),
            str(rows.time_us[i]) if rows.time_us[i] >= 0 else "-",
            ("-", "buy", "sell")[rows.side[i]],
            (rows.text[i] if rows.text is not None else "") or id_,
            "+".join(name for bit, name in FLAGS.items() if flags & bit) or "-",
        )
        found.append(" ".join(fields))
    if left_out := left_out + sum(parsed.skipped.values()):
        found.append(f"left out {left_out}")
    rejected = sorted(parsed.rejected, key=lambda each: (each.payload, each.line))
    found += [f"reject {each.code}" for each in rejected]
    if names := sorted({*unread, *parsed.unread}):
        found.append(f"unread {','.join(names)}")
    return found


def of_file(path: Path, symbol: str | None) -> list[str]:
    """The outcome of a file."""
    progress, lines, unread = Progress(), list[bytes](), tuple[str, ...]()
    try:
        for layout, trades in read_trades([path], Choice(symbol), progress):
            lines, unread = lines + trades.lines(), (*layout.unread,)
    except FileError as error:
        return [f"refused {str(error).split(': ', 1)[1]}"]
    batch = RawBatch.of(FORMAT_CSV, "file", 0, [b"\n".join(lines)], NOW_US)
    return outcome(parse(batch, FeedRules()), progress.skipped.total(), unread)


def of_body(name: str, content: str) -> list[str]:
    """The outcome of a body at /ingest."""
    kind = CONTENT_TYPES.get(name.rpartition(".")[2], "application/x-ndjson")
    format_, body = cut(content.encode(), kind)
    return outcome(parse(RawBatch.of(format_, "body", 0, body.payloads, NOW_US), FeedRules()))


@pytest.mark.parametrize("case", cases(), ids=lambda case: case.name)
def test_a_vendors_rows_are_read(case: Case, tmp_path: Path) -> None:
    """Each row is the documented trade, left out, or a reject, from a file and at /ingest."""
    found = {}
    if "file" in case.ways:
        (tmp_path / case.name).write_text(case.content)
        found["file"] = of_file(tmp_path / case.name, case.symbol)
    if "body" in case.ways:
        found["body"] = of_body(case.name, case.content)
    assert found == case.outcome


def with_header(case: Case, way: str = "file") -> tuple[list[str], list[list[str]]] | None:
    """The names and rows of a table of plain columns."""
    if not case.name.endswith(".csv") or way not in case.ways or case.content[0] in "\ufeff#":
        return None
    first = case.content.split("\n", 1)[0]
    delimiter = next((each for each in "\t;|" if each in first), ",")
    names, *rows = csv.reader(case.content.splitlines(), delimiter=delimiter, skipinitialspace=True)
    plain = is_header(names) and all(names) and len({*names}) == len(names)
    return (names, rows) if plain else None


@pytest.mark.parametrize(
    "case",
    [case for case in cases() if with_header(case, "body")],
    ids=lambda case: case.name,
)
def test_rows_of_a_large_body_are_read_as_those_of_a_small_one(case: Case) -> None:
    """Many rows are read by columns, few one by one: each row has the same outcome."""
    first, *rows = case.content.splitlines()
    large = of_body(case.name, "\n".join([first, *rows * 30]))
    small = of_body(case.name, "\n".join([first, *rows]))
    trades = [each for each in small if each.split()[0] not in ("left", "reject", "unread")]
    assert large[: len(trades) * 30] == trades * 30


@pytest.mark.parametrize("case", [*filter(with_header, cases())], ids=lambda case: case.name)
def test_a_table_of_a_vendor_is_read_as_parquet(case: Case, tmp_path: Path) -> None:
    """The same columns in Parquet give the same outcome."""
    table = with_header(case)
    assert table is not None
    path = (tmp_path / case.name).with_suffix(".parquet")
    columns = zip(*table[1], strict=True)
    pq.write_table(pa.table(dict(zip(table[0], map(list, columns), strict=True))), path)
    assert of_file(path, case.symbol) == case.outcome["file"]
