"""Migration of the old layout, one object per instrument and hour: see `lake_files`.

Only rows that left Postgres are read from it; all others are copied from Postgres as usual.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from typing import Any, Final, NamedTuple
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.parquet as pq
from psycopg import Connection
from pyiceberg.table import Table

from shared.candles.trades import MINUTE_US
from shared.errors import TransientError
from shared.lake import candle_table, tick_table
from shared.lake.access import translated
from shared.lake.candle_days import replace_day
from shared.lake.catalog import LOCK, Catalog, commit
from shared.lake.digest import digest
from shared.lake.files import write
from shared.lake.merge import merged
from shared.lake.record import Change, joined, lake_of, move, position_of
from shared.lake.tables import CANDLES, FORMER_NAMES, TICKS
from shared.lake.tick_table import each_trade_once
from shared.market.decimals import mantissa_text
from shared.schema import candles_pb2
from shared.stores.postgres import Postgres, try_lock
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
        with postgres.connection() as connection:
            if not try_lock(connection, LOCK):
                raise TransientError("the lake is being worked on: try again in a minute")
            row = connection.execute(_NEXT).fetchone()
            if row is None:
                connection.execute("DROP TABLE lake_files")
                return
            bucket, day, paths = row
            catalog, lake = Catalog(connection, access), lake_of(connection)
            if bucket == "ticks":
                rows = _take_ticks(connection, catalog.table(TICKS, lake), day, paths)
            else:
                rows = _take_candles(connection, catalog.table(CANDLES, lake), day, paths)
            connection.execute(
                "DELETE FROM lake_files WHERE bucket = %s AND path = ANY(%s)", (bucket, paths)
            )
        yield Taken(bucket, day, len(paths), rows)


def _take_ticks(connection: Connection, table: Table, day: date, paths: list[str]) -> int:
    sums = [0, 0]

    def counted(tables: Iterator[pa.Table]) -> Iterator[pa.Table]:
        for batch in tables:
            sums[0], sums[1] = sums[0] + len(batch), joined(sums[1], digest(batch))
            yield batch

    source = _old_rows(table, "ticks", paths, _ticks)
    with translated():
        rows = counted(merged([source], TICKS.key, MINUTE_US, each_trade_once))
        files = write(table, day, rows, TICKS)
    if files:
        commit(table, files, properties={"kandle.taken-over": str(day)})
    move(connection, position_of(connection), {day: Change(sums[0], sums[1], sums[0])})
    return sums[0]


def _take_candles(connection: Connection, table: Table, day: date, paths: list[str]) -> int:
    counts: list[int] = []

    def counted() -> Iterator[pa.Table]:
        for batch in _old_rows(table, "candles", paths, _candles):
            counts.append(len(batch))
            yield batch

    replace_day(connection, table, day, counted())
    connection.execute("INSERT INTO cold_candle_days VALUES (%s) ON CONFLICT DO NOTHING", (day,))
    return sum(counts)


def _old_rows(table: Table, bucket: str, paths: list[str], converted: Any) -> Iterator[pa.Table]:
    """Yield the rows of objects in their order, row group after row group."""
    for path in paths:
        names = dict(part.split("=", 1) for part in path.split("/")[:-1])
        source = table.io.new_input(f"s3://{bucket}/{path}").open()
        with pq.ParquetFile(source, pre_buffer=True) as file:
            for group in range(file.num_row_groups):
                rows = file.read_row_group(group, use_threads=False)
                yield converted(rows, unquote(names["symbol"]), names.get("timeframe", ""))


def _ticks(rows: pa.Table, symbol: str, _: str) -> pa.Table:
    n = len(rows)
    columns = {name: rows[name] for name in rows.column_names}
    columns["symbol"] = pa.repeat(pa.scalar(symbol), n)
    columns.setdefault("venue", pa.nulls(n, pa.string()))
    columns.setdefault("flags", pa.repeat(pa.scalar(0, pa.int32()), n))
    for name in ("price", "size"):
        mantissas, scales = rows[f"{name}_mantissa"].to_pylist(), rows[f"{name}_scale"].to_pylist()
        columns[f"{name}_text"] = pa.array(
            [
                None if mantissa is None else mantissa_text(int(mantissa), scale)
                for mantissa, scale in zip(mantissas, scales, strict=True)
            ],
            pa.large_string(),
        )
    return pa.table(
        [_cast(columns[field.name], field.type) for field in tick_table.SCHEMA],
        schema=tick_table.SCHEMA,
    )


def _candles(rows: pa.Table, symbol: str, timeframe: str) -> pa.Table:
    columns = {FORMER_NAMES.get(name, name): rows[name] for name in rows.column_names}
    n = len(rows)
    columns["symbol"] = pa.repeat(pa.scalar(symbol), n)
    columns["timeframe"] = pa.repeat(pa.scalar(timeframe), n)
    exact = rows["exact"].to_pylist()
    columns["exact"] = pa.nulls(n, pa.large_string())
    table = pa.table(
        [_cast(columns[field.name], field.type) for field in candle_table.SCHEMA],
        schema=candle_table.SCHEMA,
    )
    if not any(exact):
        return table
    wide = [Candle.from_message(candles_pb2.Candle.FromString(each)) for each in exact if each]
    plain = table.filter(pa.array([each is None for each in exact]))
    return candle_table.highest_revision(pa.concat_tables([plain, candle_table.to_table(wide)]))


def _cast(column: Any, kind: pa.DataType) -> Any:
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    return column.cast(kind)
