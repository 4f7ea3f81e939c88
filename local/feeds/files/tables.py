"""Reader of recorded tables in batches: CSV, JSON, Parquet, Arrow, Feather, DBN, NumPy."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import zip_longest
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet

from local.feeds.files import captures, dbn, hft, json_tables
from local.feeds.files.blocks import BATCH_ROWS, RawTable, Tables, line_blocks, numbered
from local.feeds.files.errors import FileError, UnknownLayoutError
from local.feeds.files.layouts import FIELDS, Choice, layout_of_names, layout_of_rows, needed
from local.feeds.files.opening import Part, Progress
from shared.inputs.objects.fields import is_header
from shared.inputs.text.dialects import heads, unmarked

_DELIMITERS: Final = "\t;|,"
_COMMENT: Final = re.compile(rb"(\xef\xbb\xbf)?(sep=.?\r?\n|#|\r?\n)", re.IGNORECASE)
"""Before a header: `# made by ...`, Excel's `sep=;`, a blank line."""
_SYMBOL: Final = re.compile(rb"(\xef\xbb\xbf)?#\w")


def read_tables(part: Part, choice: Choice, progress: Progress) -> Tables:
    """Return the layout of a part and its rows. Raises FileError."""
    head = part.head()
    if not head.strip():
        raise FileError(f"{part}: is empty")
    if head.startswith(b"PAR1"):
        return _parquet(part, choice)
    if head.startswith((b"ARROW1", b"\xff\xff\xff\xff")):
        return _arrow(part, choice)
    if head.startswith(b"DBN"):
        layout, trades = dbn.read(part, choice, progress)
        return layout, numbered(json_tables.tables_of(trades))
    if head.startswith(hft.MAGIC):
        layout, tables = hft.read(part, choice, progress)
        return layout, numbered(tables)
    if captures.matches(head):
        return captures.read(part, choice, progress)
    text = head.lstrip(b"\xef\xbb\xbf \r\n\t")
    if text.startswith(b"["):
        return json_tables.read_array(part, choice)
    if text.startswith(b"{"):
        return json_tables.read_lines(part, choice)
    if b"\0" in head[:4096]:
        raise FileError(
            f"{part}: is binary and neither Parquet, Arrow, Feather, DBN nor an array of"
            " hftbacktest's: convert it to CSV"
        )
    return _csv(part, choice)


def _csv(part: Part, choice: Choice) -> Tables:
    comments = []
    while (mark := _COMMENT.match(part.head())) and not (b"#" in mark[0] and _is_row(part)):
        comments.append(part.stream.readline().decode("utf-8-sig", "replace").strip())
    delimiter, rows = _first_rows(part)
    if not rows:
        raise FileError(f"{part}: has only comments")
    head = part.head().decode("utf-8-sig", "replace")
    if choice.columns and head.startswith("#"):
        named = {k: unmarked(v) if head.startswith(v) else v for k, v in choice.columns.items()}
        choice = replace(choice, columns=named)
    unclear = [each for each in comments if _may_be_names(each, delimiter, len(rows[0]))]
    message = (
        f"{part}: its comment {''.join(unclear[:1])[:80]!r} may name the columns: say which"
        f" they are with --columns symbol=...,price=... by number, 1 to {len(rows[0])}"
    )
    try:
        layout = layout_of_rows(part.name, part.path.name, rows, choice)
    except UnknownLayoutError:
        if unclear and not choice.columns:
            raise FileError(message) from None
        raise
    if unclear and not (layout.header or choice.columns):
        raise FileError(message)
    if layout.names == FIELDS:  # input lines of a sender: trailing fields may be missing
        return layout, numbered(_ragged_tables(part, delimiter))
    names = [each.strip() for each in rows[0]]
    if not layout.header:
        names = [*layout.names, *(f"column {n}" for n in range(len(names)))][: len(names)]
    layout = replace(layout, columns={k: v for k, v in layout.columns.items() if v in names})
    names = [f"{each} #{n}" if each in names[:n] else each for n, each in enumerate(names)]
    return layout, _csv_tables(part, delimiter, names, header=layout.header)


def _first_rows(part: Part) -> tuple[str, list[list[str]]]:
    """Return the delimiter and the first rows; of a header `# symbol,price` without its mark."""
    head = part.head().decode("utf-8-sig", "replace")
    lines = [line for line in head.splitlines()[:50] if line.strip()]
    if len(lines) > 1 and len(head) >= 4096:
        lines.pop()  # may be cut off
    first = lines[0] if lines else ""
    delimiter = next((each for each in _DELIMITERS if each in first), ",")
    lines[:1] = [unmarked(first)]
    return delimiter, list(csv.reader(filter(None, lines), delimiter=delimiter))


def _is_row(part: Part) -> bool:
    """Whether a line with a `#` is no comment: a row `#A,1.5`, or the header of the row below."""
    names, *below = [[each.strip() for each in row] for row in _first_rows(part)[1][:2]]
    if below and below[0][0][:1] != "#" and heads(names, below[0]):
        return True
    return _SYMBOL.match(part.head()) is not None and not (below and is_header(below[0]))


def _may_be_names(comment: str, delimiter: str, width: int) -> bool:
    """Whether a comment may name the columns."""
    is_alike = comment.count(delimiter) == width - 1 > 0
    return comment[:1] == "#" and (is_alike or is_header(re.split(r"[#\s,;|]+", comment[1:])))


def _ragged_tables(part: Part, delimiter: str) -> Iterator[pa.Table]:
    for lines in line_blocks(part):
        if pc.any(pc.match_substring(lines, '"')).as_py():
            yield _ragged_table(part, delimiter, lines.to_pylist())
            continue
        lines = lines.filter(pc.not_equal(lines, ""))
        missing = pc.subtract(len(FIELDS) - 1, pc.count_substring(lines, delimiter))
        if not len(lines):
            continue
        if pc.min(missing).as_py() < 0:
            most = len(FIELDS) - pc.min(missing).as_py()
            raise FileError(f"{part}: a row has {most} fields, not {len(FIELDS)} at most")
        width = len(FIELDS) - pc.min(missing).as_py()
        if pc.max(missing).as_py() != pc.min(missing).as_py():
            most = pc.subtract(missing, pc.min(missing))
            lines = pc.binary_join_element_wise(lines, pc.binary_repeat(delimiter, most), "")
        fields, rows = pc.split_pattern(lines, delimiter).flatten(), np.arange(len(lines)) * width
        empty = pa.array([""] * len(lines), pa.string())
        columns = [fields.take(rows + n) if n < width else empty for n in range(len(FIELDS))]
        yield pa.table(columns, FIELDS)


def _ragged_table(part: Part, delimiter: str, lines: Sequence[str]) -> pa.Table:
    rows = [row for row in csv.reader(lines, delimiter=delimiter) if row]
    if too_long := next((row for row in rows if len(row) > len(FIELDS)), None):
        raise FileError(f"{part}: a row has {len(too_long)} fields, not {len(FIELDS)} at most")
    columns = list(zip_longest(*rows, fillvalue=""))
    columns += [("",) * len(rows)] * (len(FIELDS) - len(columns))
    return pa.table(
        {name: pa.array(column, pa.string()) for name, column in zip(FIELDS, columns, strict=True)}
    )


def _csv_tables(
    part: Part, delimiter: str, names: Sequence[str], *, header: bool
) -> Iterator[RawTable]:
    bad_rows: list[str] = []

    def invalid(row: Any) -> str:
        bad_rows.append(
            f"row {row.number} has {row.actual_columns} fields, not {row.expected_columns}"
        )
        return "error"

    skipped = int(header)
    try:
        reader = pyarrow.csv.open_csv(
            part.stream,
            read_options=pyarrow.csv.ReadOptions(
                column_names=list(names), skip_rows=skipped, block_size=1 << 22, use_threads=False
            ),
            parse_options=pyarrow.csv.ParseOptions(
                delimiter=delimiter, invalid_row_handler=invalid, newlines_in_values=False
            ),
            convert_options=pyarrow.csv.ConvertOptions(
                column_types={name: pa.string() for name in names}, strings_can_be_null=False
            ),
        )
        row = 1 + skipped
        for batch in reader:
            yield RawTable(pa.Table.from_batches([batch]), row)
            row += batch.num_rows
    except pa.ArrowInvalid as error:
        raise FileError(f"{part}: {bad_rows[0] if bad_rows else error}") from None


def _parquet(part: Part, choice: Choice) -> Tables:
    file = pyarrow.parquet.ParquetFile(whole(part))
    layout = layout_of_names(part.name, file.schema_arrow.names, choice)
    columns = needed(layout)
    return layout, numbered(
        pa.Table.from_batches([batch])
        for batch in file.iter_batches(batch_size=BATCH_ROWS, columns=columns)
    )


def _arrow(part: Part, choice: Choice) -> Tables:
    if part.head().startswith(b"ARROW1"):
        reader: Any = pa.ipc.open_file(whole(part))
        batches = (reader.get_batch(n) for n in range(reader.num_record_batches))
    else:
        reader = pa.ipc.open_stream(part.stream)
        batches = iter(reader)
    layout = layout_of_names(part.name, reader.schema.names, choice)
    return layout, numbered(
        pa.Table.from_batches([batch]).select(needed(layout)) for batch in batches
    )


def whole(part: Part) -> Any:
    """Return a seekable file: the file itself, or its uncompressed bytes."""
    if part.name == part.path.name:
        return pa.memory_map(str(part.path))
    return pa.BufferReader(part.stream.read())
