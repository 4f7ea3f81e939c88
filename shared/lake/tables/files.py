"""Data files of the lake: sorted rows into Parquet objects of a bounded size, and back."""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Iterable, Iterator
from datetime import date
from operator import itemgetter
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq
from pyiceberg.conversions import from_bytes
from pyiceberg.io import FileIO
from pyiceberg.io.fileformat import FileFormatFactory
from pyiceberg.manifest import DataFile, DataFileContent, FileFormat
from pyiceberg.schema import Schema
from pyiceberg.table import Table
from pyiceberg.typedef import Record
from pyiceberg.types import LongType, TimestamptzType

from shared.lake.tables.definitions import FORMER_NAMES, ROW_GROUP, Definition
from shared.market.utc_days import DAY_US, begin_us, day_of

TARGET_BYTES: Final = 128 << 20
"""A file ends with the row group that reaches this size."""


def write(
    table: Table,
    day: date,
    tables: Iterable[pa.Table],
    definition: Definition,
    *,
    row_group: int = ROW_GROUP,
) -> list[DataFile]:
    """Create objects of rows of one UTC day, sorted by the table's key; return what they hold.

    They are a run: their names begin alike. They count once a snapshot names them. Raises OSError.
    """
    files: list[DataFile] = []
    run = uuid.uuid4().hex
    rows = _row_groups(tables, row_group)
    properties = table.properties | {"write.parquet.row-group-limit": str(row_group)}
    for group in rows:
        path = f"{table.location()}/data/day={day}/{run}-{len(files)}.parquet"
        output = table.io.new_output(path)
        model = FileFormatFactory.get(FileFormat.PARQUET)
        writer: Any = model.create_writer(output, table.schema(), properties)
        writer._parquet_writer_kwargs.update(_encodings(definition))
        with writer:
            writer.write(group)
            while writer._fos.tell() < TARGET_BYTES and (more := next(rows, None)) is not None:
                writer.write(more)
        files.append(
            DataFile.from_args(
                content=DataFileContent.DATA,
                file_path=path,
                file_format=FileFormat.PARQUET,
                partition=Record(begin_us(day) // DAY_US),
                file_size_in_bytes=len(output),
                sort_order_id=table.sort_order().order_id,
                spec_id=table.spec().spec_id,
                equality_ids=None,
                key_metadata=None,
                **writer.result().to_serialized_dict(),
            )
        )
    return files


def _encodings(definition: Definition) -> dict[str, Any]:
    """Return the options of Arrow's writer that PyIceberg has no property for.

    Statistics of the key alone: what nobody prunes by would be the most of a footer, here and in
    who reads it. Numbers and times as differences: a dictionary of what seldom repeats takes twice
    the bytes, and longer to write and to read.
    """
    schema = definition.schema
    numbers = [
        f.name for f in schema.fields if isinstance(f.field_type, LongType | TimestamptzType)
    ]
    return {
        "write_statistics": list(definition.key),
        "use_dictionary": [name for name in schema.column_names if name not in numbers],
        "column_encoding": dict.fromkeys(numbers, "DELTA_BINARY_PACKED"),
    }


def runs_of(files: Iterable[DataFile]) -> list[list[DataFile]]:
    """Return the files of each run in the order of their rows."""
    runs: dict[str, list[tuple[int, DataFile]]] = defaultdict(list)
    for file in files:
        name = file.file_path.rpartition("/")[2].partition(".")[0]
        run, _, number = name.partition("-")
        runs[run].append((int(number or 0), file))
    return [[file for _, file in sorted(run, key=itemgetter(0))] for run in runs.values()]


def read(io: FileIO, *files: DataFile) -> Iterator[pa.Table]:
    """Yield the row groups of files in order. Raises OSError."""
    for file in files:
        with pq.ParquetFile(io.new_input(file.file_path).open(), pre_buffer=True) as parquet:
            for group in range(parquet.num_row_groups):
                yield with_all_columns(parquet.read_row_group(group, use_threads=False))


def with_all_columns(rows: pa.Table) -> pa.Table:
    """Return rows of a file under the table's names, with nulls in a column that it lacks."""
    names = [FORMER_NAMES.get(name, name) for name in rows.column_names]
    rows = rows.rename_columns(names)
    if "timeframe" not in names or "origin" in names:
        return rows
    return rows.append_column("origin", pa.nulls(len(rows), rows["timeframe"].type))


def rows_at_once(files: Iterable[DataFile]) -> int:
    """Return the approximate number of rows that `read` holds at once."""
    return max(file.record_count // max(len(file.split_offsets or ()), 1) for file in files)


def bounds(file: DataFile, schema: Schema, name: str) -> tuple[Any, Any]:
    """Return the lowest and highest value of a key column in a file; times in microseconds."""
    field = schema.find_field(name)
    kind: Any = field.field_type
    low, high = file.lower_bounds[field.field_id], file.upper_bounds[field.field_id]
    return from_bytes(kind, low), from_bytes(kind, high)


def day_of_file(file: DataFile) -> date:
    """Return the UTC day of a file's partition."""
    value: Any = file.partition[0]
    return value if isinstance(value, date) else day_of(value * DAY_US)


def _row_groups(tables: Iterable[pa.Table], size: int) -> Iterator[pa.Table]:
    """Regroup rows into tables of one row group each."""
    rows = pa.table({})
    for table in tables:
        rows = pa.concat_tables([rows, table]) if len(rows) else table
        while len(rows) >= size:
            yield rows.slice(0, size)
            rows = rows.slice(size)
    if len(rows):
        yield rows
