"""Retention of candles in Postgres: rows are deleted once read back from the lake."""

from __future__ import annotations

import logging
from collections.abc import Generator
from datetime import date
from typing import Final

import pyarrow as pa
from psycopg import Connection, sql

from shared.lake.access import translated
from shared.lake.catalog import locked, open_table
from shared.lake.maintenance.compaction import files_of
from shared.lake.maintenance.schedule import longest
from shared.lake.tables.candle_table import FIELDS, to_lists
from shared.lake.tables.definitions import CANDLES
from shared.lake.tables.files import read
from shared.runtime import metrics
from shared.stores.postgres import Postgres
from shared.stores.s3 import S3Access

log = logging.getLogger(__name__)

_BECOMES_COLD: Final = "INSERT INTO cold_candle_days (day) VALUES (%s) ON CONFLICT DO NOTHING"
_LEFT: Final = "UPDATE lake_candle_days SET is_in_postgres = false WHERE day = %s"
_COPIED: Final = "CREATE TEMP TABLE copied (LIKE candles) ON COMMIT DROP"
_COLUMNS: Final = sql.SQL(", ").join(sql.Identifier(name) for name, _ in FIELDS)
_FILL: Final = sql.SQL("COPY copied ({}) FROM STDIN").format(_COLUMNS)
_SAME: Final = (
    " stored.instrument = copied.instrument AND stored.timeframe = copied.timeframe"
    " AND stored.start_us = copied.start_us AND stored.timeframe <> %s"
)
_DELETE: Final = f"""
DELETE FROM candles AS stored USING copied WHERE {_SAME}
    AND (stored.revision < copied.revision OR stored.* IS NOT DISTINCT FROM copied.*)
"""  # noqa: S608 - no part of it is from outside
_DIFFERING: Final = f"""
SELECT stored::text, copied::text FROM candles AS stored JOIN copied ON {_SAME}
WHERE stored.revision = copied.revision
"""  # noqa: S608


def drop_candles(postgres: Postgres, access: S3Access, day: date) -> Generator[int]:
    """Delete the candles of a day that the lake was seen to have; yield how many, piece by piece.

    A piece is the candles of a row group, in a transaction: those that are the same in both places,
    or older than in the lake, are deleted. Begun anew, it finds the others. Raises TransientError.
    """
    with locked(postgres) as connection:
        stays = longest(connection)
        table = open_table(connection, access, CANDLES)
        connection.execute(_BECOMES_COLD, (day,))
    differing = 0
    with translated():
        for copied in read(table.io, *files_of(table, day)):
            with locked(postgres) as connection:
                _load(connection, copied)
                deleted = connection.execute(_DELETE, (stays,)).rowcount
                for twins in connection.execute(_DIFFERING, (stays,)).fetchall():
                    differing += 1
                    metrics.LAKE_DIFFERS.inc()
                    log.error("the lake has another candle than Postgres: %s, %s", *twins)
            yield deleted
    if not differing:
        with postgres.connection() as connection:
            connection.execute(_LEFT, (day,))


def _load(connection: Connection, candles: pa.Table) -> None:
    connection.execute(_COPIED)
    rows = zip(*to_lists(candles).values(), strict=True)
    with connection.cursor() as cursor, cursor.copy(_FILL) as copy:
        for row in rows:
            copy.write_row(row)
    connection.execute("ANALYZE copied")
