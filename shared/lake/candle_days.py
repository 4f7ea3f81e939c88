"""Days of stored candles copied into the lake's table, a day that changed again written anew."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields
from datetime import date
from typing import Final

import pyarrow as pa
from psycopg import Connection, sql
from psycopg.rows import class_row
from pyiceberg.table import Table

from shared.lake.access import translated
from shared.lake.candle_table import highest_revision, to_table
from shared.lake.catalog import LOCK, Catalog, commit
from shared.lake.compaction import files_of
from shared.lake.files import read, write
from shared.lake.merge import merged
from shared.lake.record import lake_of
from shared.lake.schedule import SETTLED_S, candle_day
from shared.lake.tables import CANDLES
from shared.market.utc_days import DAY_US, begin_us
from shared.stores.postgres import Postgres, try_lock
from shared.stores.s3 import S3Access
from shared.wire.candle import Candle

_ROWS: Final = 5_000
_ROW_GROUP: Final = 16_384

CANDLE_COLUMNS: Final = sql.SQL(", ").join(sql.Identifier(field.name) for field in fields(Candle))
_OF_DAY: Final = sql.SQL(
    'SELECT {} FROM candles WHERE start_us >= %s AND start_us < %s ORDER BY timeframe COLLATE "C",'
    ' instrument COLLATE "C", start_us'
).format(CANDLE_COLUMNS)


def copy_candles(
    postgres: Postgres, access: S3Access, now_us: int, *, settled_s: float = SETTLED_S
) -> bool:
    """Copy a day that is due; return whether there was one. Raises TransientError.

    The new files hold the day whole: what Postgres has of it and, where that left Postgres, what
    the files before have, by the highest revision. One transaction lets them count, the ones before
    cease to, and strikes the changes.
    """
    with postgres.connection() as connection:
        if not try_lock(connection, LOCK):
            return False
        due = candle_day(connection, now_us, settled_s)
        if due is None:
            return False
        day, changes = due
        table = Catalog(connection, access).table(CANDLES, lake_of(connection))
        replace_day(connection, table, day)
        connection.execute("DELETE FROM lake_pending_candles WHERE id = ANY(%s)", (changes,))
    return True


def replace_day(connection: Connection, table: Table, day: date, *more: Iterator[pa.Table]) -> None:
    """Let new files of a day count: of Postgres, the files before, and more sorted candles."""
    with translated():
        before = files_of(table, day)
        rows = merged(
            [stored_candles(connection, day), *(read(table.io, f) for f in before), *more],
            *(CANDLES.key, 1, highest_revision),
        )
        files = write(table, day, rows, CANDLES, row_group=_ROW_GROUP)
    if files:
        commit(table, files, before, {"kandle.day": str(day)})


def stored_candles(connection: Connection, day: date) -> Iterator[pa.Table]:
    """Yield the candles of a UTC day that Postgres has, by timeframe, symbol and time."""
    low = begin_us(day)
    with connection.cursor("candles_of_day", row_factory=class_row(Candle)) as cursor:
        cursor.execute(_OF_DAY, (low, low + DAY_US))
        while some := cursor.fetchmany(_ROWS):
            yield to_table(some)
