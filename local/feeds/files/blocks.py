"""A part in blocks: of lines of text, or of unparsed rows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from local.feeds.files.errors import FileError
from local.feeds.files.layouts import Layout
from local.feeds.files.opening import Part

BATCH_ROWS: Final = 50_000
MAX_ROW_BYTES: Final = 16 * 1024 * 1024
"""Maximum row length: a longer one means that the file is not a table."""
_BLOCK_BYTES: Final = 1 << 22
_BOM: Final = b"\xef\xbb\xbf"
_NEWLINE: Final = ord("\n")


@dataclass(frozen=True, slots=True)
class RawTable:
    """Unparsed rows of a part. `first_row`: the number of the first, from 1."""

    table: pa.Table
    first_row: int


Tables = tuple[Layout, Iterator[RawTable]]


def numbered(tables: Iterator[pa.Table]) -> Iterator[RawTable]:
    """Yield the tables with the number of their first row.

    Polars' texts (string_view) become strings: Arrow cannot filter the former.
    """
    row = 1
    for table in tables:
        views = [n for n, each in enumerate(table.schema) if pa.types.is_string_view(each.type)]
        for n in views:
            table = table.set_column(n, table.schema.names[n], table.column(n).cast(pa.string()))
        yield RawTable(table, row)
        row += table.num_rows


def line_blocks(part: Part) -> Iterator[pa.Array]:
    """Yield the lines of a part in blocks, without line ends."""
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
    if b"\r" in body:
        body = body.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    if not body.isascii():
        body = body.decode("utf-8", "replace").encode()
    ends = np.flatnonzero(np.frombuffer(body, np.uint8) == _NEWLINE) + 1
    if not body.endswith(b"\n"):
        ends = np.append(ends, len(body))
    offsets = np.append(0, ends).astype(np.int32)
    buffers = [pa.py_buffer(offsets), pa.py_buffer(body)]
    return pc.ascii_rtrim(pa.StringArray.from_buffers(len(ends), *buffers), "\n")


def content_of(column: pa.StringArray) -> bytes:
    """Return the concatenated texts."""
    _, offsets, data = column.buffers()
    if data is None or not len(column):
        return b""
    ends = np.frombuffer(offsets, np.int32)[column.offset :]
    return memoryview(data)[int(ends[0]) : int(ends[len(column)])].tobytes()
