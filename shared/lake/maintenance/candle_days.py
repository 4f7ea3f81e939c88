"""Copies days of stored candles to the lake's table; a day that changed is rewritten."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from itertools import islice
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc
from psycopg import Connection, sql
from pyarrow import csv
from pyiceberg.table import Table

from shared.lake.access import translated
from shared.lake.catalog import locked, open_table
from shared.lake.maintenance.compaction import files_of, rewrite
from shared.lake.maintenance.schedule import SETTLED_S, candle_day
from shared.lake.tables.candle_table import FIELDS, TEXTS, from_texts, highest_revision
from shared.lake.tables.definitions import CANDLES, ROW_GROUP
from shared.lake.tables.files import read
from shared.market.utc_days import DAY_US, begin_us
from shared.stores.postgres import Postgres
from shared.stores.s3 import S3Access

_COPY: Final = sql.SQL(
    "COPY (SELECT {} FROM candles WHERE start_us >= %s AND start_us < %s"
    ' ORDER BY timeframe COLLATE "C", instrument COLLATE "C", start_us) TO STDOUT (FORMAT csv)'
).format(sql.SQL(", ").join(sql.Identifier(name) for name, _ in FIELDS))
_KNOWN: Final = """
INSERT INTO lake_candle_days (day, timeframes) VALUES (%s, %s)
ON CONFLICT (day) DO UPDATE SET timeframes = excluded.timeframes, is_in_postgres = true
"""
_QUOTED: Final = csv.ParseOptions(newlines_in_values=True)
_TEXTS: Final = csv.ConvertOptions(
    column_types=TEXTS, true_values=["t"], false_values=["f"], strings_can_be_null=False
)


def copy_candles(
    postgres: Postgres, access: S3Access, now_us: int, *, settled_s: float = SETTLED_S
) -> bool:
    """Copy one due day; return False if none is due. Raises TransientError.

    The new files hold the day whole: what Postgres has of it and, where that left Postgres, what
    the files before have, by the highest revision. One transaction lets them count, the ones before
    cease to, and strikes the changes.
    """
    with locked(postgres) as connection:
        due = candle_day(connection, now_us, settled_s)
        if due is None:
            return False
        day, changes = due
        replace_day(connection, open_table(connection, access, CANDLES), day)
        connection.execute("DELETE FROM lake_pending_candles WHERE id = ANY(%s)", (changes,))
    return True


def replace_day(
    connection: Connection, table: Table, day: date, *extra: Iterator[pa.Table]
) -> None:
    """Replace a day's files: merge Postgres, the old files and further sorted candles."""
    timeframes: set[str] = set()

    def folded(rows: pa.Table) -> pa.Table:
        timeframes.update(pc.unique(rows["timeframe"]).to_pylist())
        return highest_revision(rows)

    with translated():
        before = files_of(table, day)
    sources = [_stored(connection, day), *(read(table.io, f) for f in before), *extra]
    rewrite(table, CANDLES, day, sources, folded, before, "kandle.day")
    connection.execute(_KNOWN, (day, sorted(timeframes)))


def _stored(connection: Connection, day: date) -> Iterator[pa.Table]:
    """Yield a day's candles that Postgres has, sorted by the table's key."""
    low, names = begin_us(day), [name for name, _ in FIELDS]
    with connection.cursor() as cursor, cursor.copy(_COPY, (low, low + DAY_US)) as copy:
        rows = iter(copy)
        while chunk := b"".join(islice(rows, ROW_GROUP)):
            options = csv.ReadOptions(
                use_threads=False, block_size=len(chunk) + 1, column_names=names
            )
            yield from_texts(csv.read_csv(pa.BufferReader(chunk), options, _QUOTED, _TEXTS))
