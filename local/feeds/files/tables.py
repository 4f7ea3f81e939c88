"""Reads recorded tables in batches: CSV, JSON, Parquet, Arrow and Feather, DBN, NumPy archives."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import chain, islice, zip_longest
from typing import Any, Final

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet

from local.feeds.files import dbn, hft
from local.feeds.files.errors import FileError, excerpt
from local.feeds.files.layouts import (
    FIELDS,
    Choice,
    Layout,
    layout_of_names,
    layout_of_rows,
)
from local.feeds.files.opening import Part, Progress
from shared.inputs.fields import Field, layout_of
from shared.inputs.raw_values import text_of

BATCH_ROWS: Final = 50_000
MAX_ROW_BYTES: Final = 16 * 1024 * 1024
"""A longer row means that the file is no table of rows; reading it would cost unbounded memory."""
_BLOCK_BYTES: Final = 1 << 22
_BOM: Final = b"\xef\xbb\xbf"
_DELIMITERS: Final = "\t;|,"
_PLACES: Final = (
    *(Field.SYMBOL, Field.PRICE, Field.SIZE, Field.TIME),
    *(Field.SIDE, Field.TRADE_ID, Field.CONDITIONS),
)
_SIDE: Final = _PLACES.index(Field.SIDE)
_FREQTRADE_ROW: Final = ("timestamp", "id", "type", "side", "price", "amount", "cost")


_decode_raw: Final = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


@dataclass(frozen=True, slots=True)
class RawTable:
    """Some rows of a part as they are written. `first_row`: the number of the first, from 1."""

    table: pa.Table
    first_row: int


Tables = tuple[Layout, Iterator[RawTable]]


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
        layout, trades = dbn.read(part, choice)
        return layout, _numbered(_tables_of(trades))
    if head.startswith(hft.MAGIC):
        layout, tables = hft.read(part, choice, progress)
        return layout, _numbered(tables)
    text = head.lstrip(b"\xef\xbb\xbf \r\n\t")
    if text.startswith(b"["):
        return _json_array(part, choice)
    if text.startswith(b"{"):
        return _json_lines(part, choice)
    if b"\0" in head[:4096]:
        raise FileError(
            f"{part}: is binary and neither Parquet, Arrow, Feather, DBN nor an array of"
            " hftbacktest's: convert it to CSV"
        )
    return _csv(part, choice)


def _csv(part: Part, choice: Choice) -> Tables:
    head = part.head().decode("utf-8-sig", "replace")
    lines = [line for line in head.splitlines()[:50] if line.strip()]
    if len(lines) > 1 and len(head) >= 4096:
        lines.pop()  # may be cut off
    delimiter = next((each for each in _DELIMITERS if each in lines[0]), ",")
    rows = list(csv.reader(lines, delimiter=delimiter))
    layout = layout_of_rows(part.name, part.path.name, rows, choice)
    if layout.header:
        names = [each.strip() for each in rows[0]]
    else:
        width = max(len(row) for row in rows)
        names = [*layout.names, *(f"column {n + 1}" for n in range(len(layout.names), width))]
    if layout.names == FIELDS:  # the lines of a sender: the last fields may be left out
        return layout, _numbered(_ragged_tables(part, delimiter))
    names = names[: max(len(rows[0]), len(names) if layout.header else 0)]
    layout = replace(layout, columns=_present(layout.columns, names))
    return layout, _csv_tables(part, delimiter, names, header=layout.header)


def _ragged_tables(part: Part, delimiter: str) -> Iterator[pa.Table]:
    for lines in _blocks(part):
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
        whole = pc.binary_join_element_wise(lines, pc.binary_repeat(delimiter, missing), "")
        fields = pc.split_pattern(whole, delimiter).flatten()
        rows = np.arange(len(lines)) * len(FIELDS)
        yield pa.table({name: fields.take(rows + n) for n, name in enumerate(FIELDS)})


def _blocks(part: Part) -> Iterator[pa.Array]:
    """Yield the lines of a part, many at a time, without their ends."""
    if part.head().startswith(_BOM):
        part.stream.read(len(_BOM))
    rest = b""
    while block := part.stream.read(_BLOCK_BYTES):
        body = rest + block
        end = body.rfind(b"\n") + 1
        rest = body[end:]
        if len(rest) > MAX_ROW_BYTES:
            raise FileError(f"{part}: a row is longer than {MAX_ROW_BYTES} bytes")
        if end:
            yield _lines_of(body[:end])
    if rest:
        yield _lines_of(rest)


def _lines_of(body: bytes) -> pa.Array:
    text = body.decode("utf-8", "replace").replace("\r\n", "\n").replace("\r", "\n")
    return pa.array(text.removesuffix("\n").split("\n"), pa.string())


def _ragged_table(part: Part, delimiter: str, lines: Sequence[str]) -> pa.Table:
    rows = [row for row in csv.reader(lines, delimiter=delimiter) if row]
    if wrong := next((row for row in rows if len(row) > len(FIELDS)), None):
        raise FileError(f"{part}: a row has {len(wrong)} fields, not {len(FIELDS)} at most")
    columns = list(zip_longest(*rows, fillvalue=""))
    columns += [("",) * len(rows)] * (len(FIELDS) - len(columns))
    return pa.table(
        {name: pa.array(column, pa.string()) for name, column in zip(FIELDS, columns, strict=True)}
    )


def _csv_tables(
    part: Part, delimiter: str, names: Sequence[str], *, header: bool
) -> Iterator[RawTable]:
    wrong: list[str] = []

    def invalid(row: Any) -> str:
        wrong.append(
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
        raise FileError(f"{part}: {wrong[0] if wrong else error}") from None


def _present(columns: Mapping[str, str], names: Sequence[str]) -> dict[str, str]:
    """Return the columns with the names as this file writes them."""
    plain = {name.strip().lower(): name for name in names}
    return {key: plain[name.lower()] for key, name in columns.items() if name.lower() in plain}


def _parquet(part: Part, choice: Choice) -> Tables:
    file = pyarrow.parquet.ParquetFile(_whole(part))
    layout = layout_of_names(part.name, file.schema_arrow.names, choice)
    wanted = _needed(layout)
    return layout, _numbered(
        pa.Table.from_batches([batch])
        for batch in file.iter_batches(batch_size=BATCH_ROWS, columns=wanted)
    )


def _arrow(part: Part, choice: Choice) -> Tables:
    if part.head().startswith(b"ARROW1"):
        reader: Any = pa.ipc.open_file(_whole(part))
        batches = (reader.get_batch(n) for n in range(reader.num_record_batches))
    else:
        reader = pa.ipc.open_stream(part.stream)
        batches = iter(reader)
    layout = layout_of_names(part.name, reader.schema.names, choice)
    return layout, _numbered(
        pa.Table.from_batches([batch]).select(_needed(layout)) for batch in batches
    )


def _whole(part: Part) -> Any:
    """Return what can be read at random: the file itself, or its unpacked bytes."""
    if part.name == part.path.name:
        return pa.memory_map(str(part.path))
    return pa.BufferReader(part.stream.read())


def _json_lines(part: Part, choice: Choice) -> Tables:
    lines = _lines(part)
    first = list(islice(lines, 1000))
    numbered = enumerate(chain(first, lines), 1)
    if choice.columns:
        return _of_objects(part, _objects(part, numbered), choice)
    names = dict.fromkeys(name for each in _objects(part, enumerate(first, 1)) for name in each)
    seen = layout_of_names(part.name, list(names), choice)
    layout = Layout("JSON", {name: name for name in FIELDS}, symbol=seen.symbol, unread=seen.unread)
    return layout, _numbered(_json_tables(part, numbered))


def _json_tables(part: Part, lines: Iterator[tuple[int, str]]) -> Iterator[pa.Table]:
    """Read objects without looking into what is not needed of them; numbers stay their text."""
    while some := list(islice(lines, BATCH_ROWS)):
        rows = [_json_row(part, number, line) for number, line in some]
        columns = zip(*rows, strict=True)
        yield pa.table(
            {name: pa.array(c, pa.string()) for name, c in zip(FIELDS, columns, strict=True)}
        )


def _json_row(part: Part, number: int, line: str) -> tuple[str, ...]:
    try:
        values = _decode_raw(line)
    except (msgspec.DecodeError, RecursionError):  # or what Python's json reads besides: NaN
        (found,) = _objects(part, iter([(number, line)]))
        return tuple(_text(value) for value in _fields(found).values())
    row = [
        next((text for key in keys if (text := text_of(values[key]))), "")
        for keys in _places_of(tuple(values))
    ]
    if not row[_SIDE] and (maker := row.pop()):
        row[_SIDE] = "sell" if maker == "true" else "buy"
    return tuple(row[: len(FIELDS)])


@lru_cache(maxsize=1024)
def _places_of(names: tuple[str, ...]) -> tuple[tuple[str, ...], ...]:
    """Return the names of each field, in the order of FIELDS, and of "the buyer was the maker"."""
    places = layout_of(names).places
    return tuple(places.get(place, ()) for place in (*_PLACES, Field.BUYER_MAKER))


def _json_array(part: Part, choice: Choice) -> Tables:
    """Read an array of objects, or of freqtrade's rows; numbers stay the text of the file."""
    try:
        found = json.loads(part.stream.read(), parse_float=str, parse_int=str, parse_constant=str)
    except (ValueError, RecursionError) as error:
        raise FileError(f"{part}: is not JSON: {error}") from None
    if found and isinstance(found[0], list):
        names = _FREQTRADE_ROW[: len(found[0])]
        wrong = next((n for n, row in enumerate(found, 1) if len(row) != len(names)), None)
        if wrong is not None:
            raise FileError(f"{part}: row {wrong} has not {len(names)} values as the first")
        objects: Iterator[dict[str, object]] = (dict(zip(names, row, strict=True)) for row in found)
        return _of_objects(part, objects, choice)
    for number, each in enumerate(found, 1):
        if not isinstance(each, dict):
            raise FileError(f"{part}: element {number} is no object: {excerpt(each)}")
    return _of_objects(part, iter(found), choice)


def _of_objects(part: Part, objects: Iterator[dict[str, object]], choice: Choice) -> Tables:
    """Objects may differ in how they name the fields, unless --columns says it for all."""
    first = list(islice(objects, 1000))
    everything = chain(first, objects)
    names = list(dict.fromkeys(name for each in first for name in each))
    if choice.columns:
        layout = layout_of_names(part.name, names, choice)
        return layout, _numbered(_tables_of(everything, _needed(layout)))
    seen = layout_of_names(part.name, names, choice)
    layout = Layout("JSON", {name: name for name in FIELDS}, symbol=seen.symbol, unread=seen.unread)
    return layout, _numbered(_tables_of((_fields(each) for each in everything), FIELDS))


def _fields(trade: Mapping[str, object]) -> dict[str, object]:
    """Return the fields of one object by their names here."""
    places = layout_of(tuple(trade)).places
    found: dict[str, object] = {}
    for name, place in zip(FIELDS, _PLACES, strict=True):
        values = (trade[key] for key in places.get(place, ()))
        found[name] = next((value for value in values if value not in (None, "")), None)
    if found["side"] is None and (flags := places.get(Field.BUYER_MAKER)):
        maker = trade[flags[0]]
        found["side"] = None if maker is None else "sell" if maker is True else "buy"
    return found


def _tables_of(
    objects: Iterator[dict[str, object]], names: Sequence[str] | None = None
) -> Iterator[pa.Table]:
    while some := list(islice(objects, BATCH_ROWS)):
        columns = names if names is not None else list(some[0])
        yield pa.table(
            {
                name: pa.array([_text(each.get(name)) for each in some], type=pa.string())
                for name in columns
            }
        )


def _text(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if isinstance(value, str) else json.dumps(value)


def _objects(part: Part, lines: Iterator[tuple[int, str]]) -> Iterator[dict[str, object]]:
    for number, line in lines:
        try:
            found = json.loads(line, parse_float=str, parse_int=str, parse_constant=str)
        except (ValueError, RecursionError) as error:
            raise FileError(f"{part}: row {number} is not JSON: {error}") from None
        if not isinstance(found, dict):
            raise FileError(f"{part}: row {number} is no object: {excerpt(line)}")
        yield found


def _lines(part: Part) -> Iterator[str]:
    while raw := part.stream.readline(MAX_ROW_BYTES):
        if len(raw) == MAX_ROW_BYTES:
            raise FileError(f"{part}: a row is longer than {MAX_ROW_BYTES} bytes")
        if text := raw.decode("utf-8-sig", "replace").strip():
            yield text


def _needed(layout: Layout) -> list[str]:
    """Return the columns that are read."""
    only = [] if layout.only is None else [layout.only[0]]
    return list(dict.fromkeys([*layout.columns.values(), *only]))


def _numbered(tables: Iterator[pa.Table]) -> Iterator[RawTable]:
    row = 1
    for table in tables:
        yield RawTable(table, row)
        row += table.num_rows
