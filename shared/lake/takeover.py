"""Migration of the old layout, one object per instrument and hour: see `lake_files`.

Only rows that left Postgres are read from it; all others are copied from Postgres as usual.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date
from typing import Final, NamedTuple
from urllib.parse import unquote

import pyarrow as pa
from psycopg import Connection
from pyiceberg.manifest import DataFile
from pyiceberg.table import Table

from shared.lake.catalog import locked, open_table
from shared.lake.maintenance.candle_days import replace_day
from shared.lake.maintenance.compaction import rewrite
from shared.lake.record import Change, joined, move, position_of
from shared.lake.tables import candle_table, tick_table
from shared.lake.tables.definitions import CANDLES, TICKS
from shared.lake.tables.digest import digest
from shared.lake.tables.files import read
from shared.market.decimals import mantissa_text
from shared.schema import candles_pb2
from shared.stores.postgres import Postgres
from shared.stores.s3 import S3Access
from shared.wire.candle import Candle

_OLD_LAKE: Final = "SELECT to_regclass('lake_files') IS NOT NULL"
_DAY: Final = "date '1970-01-01' + floor(from_us / 86400000000.0)::int"
_UNNEEDED: Final = f"""
DELETE FROM lake_files WHERE superseded_at IS NOT NULL
    OR bucket = 'candles' AND cold_at IS NULL
    OR bucket = 'ticks' AND {_DAY} NOT IN (SELECT day FROM cold_days)
"""  # noqa: S608 - no part of it is from outside
_NEXT: Final = f"""
SELECT bucket, {_DAY} AS day, array_agg(path ORDER BY timeframe COLLATE "C", instrument COLLATE "C",
       from_us, id) FROM lake_files GROUP BY 1, 2 ORDER BY 1 DESC, 2 LIMIT 1
"""  # noqa: S608


class Taken(NamedTuple):
    """A day of `ticks` or `candles` that was taken over: how many objects became how many rows."""

    kind: str
    day: date
    objects: int
    rows: int


def take_over(postgres: Postgres, access: S3Access) -> Iterator[Taken]:
    """Take over day after day, each in a transaction; yield what was. Raises TransientError.

    If interrupted, it resumes. At the end the record of the old layout goes; its objects
    stay: nothing names them any more, and they may be removed.
    """
    with postgres.connection() as connection:
        if connection.execute(_OLD_LAKE).fetchone() != (True,):
            return
        connection.execute(_UNNEEDED)
    while True:
        with locked(postgres) as connection:
            row = connection.execute(_NEXT).fetchone()
            if row is None:
                connection.execute("DROP TABLE lake_files")
                return
            bucket, day, paths = row
            take, definition = _KINDS[bucket]
            rows = take(connection, open_table(connection, access, definition), day, paths)
            connection.execute(
                "DELETE FROM lake_files WHERE bucket = %s AND path = ANY(%s)", (bucket, paths)
            )
        yield Taken(bucket, day, len(paths), rows)


def _take_ticks(connection: Connection, table: Table, day: date, paths: Sequence[str]) -> int:
    sums = [0, 0]

    def folded(rows: pa.Table) -> pa.Table:
        unique = tick_table.each_trade_once(rows)
        sums[0], sums[1] = sums[0] + len(unique), joined(sums[1], digest(unique))
        return unique

    source = map(_ticks, _old_rows(table, "ticks", paths))
    rewrite(table, TICKS, day, [source], folded, [], "kandle.taken-over")
    move(connection, position_of(connection), {day: Change(sums[0], sums[1], sums[0])})
    return sums[0]


def _take_candles(connection: Connection, table: Table, day: date, paths: Sequence[str]) -> int:
    counts: list[int] = []

    def counted() -> Iterator[pa.Table]:
        for rows in map(_candles, _old_rows(table, "candles", paths)):
            counts.append(len(rows))
            yield rows

    replace_day(connection, table, day, counted())
    connection.execute("INSERT INTO cold_candle_days VALUES (%s) ON CONFLICT DO NOTHING", (day,))
    return sum(counts)


_KINDS: Final = {"ticks": (_take_ticks, TICKS), "candles": (_take_candles, CANDLES)}


def _old_rows(table: Table, bucket: str, paths: Sequence[str]) -> Iterator[pa.Table]:
    """Yield the row groups of objects in their order, with the names of their folders."""
    for path in paths:
        for rows in read(table.io, DataFile.from_args(file_path=f"s3://{bucket}/{path}")):
            for name, value in (part.split("=", 1) for part in path.split("/")[:-1]):
                rows = rows.append_column(name, pa.repeat(pa.scalar(unquote(value)), len(rows)))
            yield rows


def _ticks(rows: pa.Table) -> pa.Table:
    for name in ("price", "size"):
        mantissas, scales = (rows[f"{name}_{of}"].to_pylist() for of in ("mantissa", "scale"))
        texts = [
            None if mantissa is None else mantissa_text(int(mantissa), scale)
            for mantissa, scale in zip(mantissas, scales, strict=True)
        ]
        rows = rows.append_column(f"{name}_text", pa.array(texts, pa.large_string()))
    if "flags" not in rows.column_names:
        rows = rows.append_column("flags", pa.repeat(pa.scalar(0, pa.int32()), len(rows)))
    return _cast(rows, tick_table.SCHEMA)


def _candles(rows: pa.Table) -> pa.Table:
    exact = rows["exact"]
    plain = _cast(rows.drop_columns("exact"), candle_table.SCHEMA).filter(exact.is_null())
    wide = [
        Candle.from_message(candles_pb2.Candle.FromString(each))
        for each in exact.drop_null().to_pylist()
    ]
    return candle_table.highest_revision(pa.concat_tables([plain, candle_table.to_table(wide)]))


def _cast(rows: pa.Table, schema: pa.Schema) -> pa.Table:
    """Return the columns of a schema, nulls where there is none."""
    columns = []
    for field in schema:
        if field.name not in rows.column_names:
            columns.append(pa.nulls(len(rows), field.type))
            continue
        column = tick_table.whole(rows[field.name])
        is_encoded = pa.types.is_dictionary(column.type)
        columns.append((column.dictionary_decode() if is_encoded else column).cast(field.type))
    return pa.table(columns, schema=schema)
