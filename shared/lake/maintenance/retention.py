"""Retention of ticks in Postgres: days are dropped once the lake provably has them."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Iterator
from datetime import date
from typing import Final

from psycopg import Connection, sql
from pyiceberg.table import Table

from shared.lake.access import translated
from shared.lake.catalog import LOCK, locked, open_table
from shared.lake.maintenance.compaction import files_of
from shared.lake.maintenance.schedule import old_days, waits_for
from shared.lake.maintenance.settings import Terms
from shared.lake.record import joined
from shared.lake.tables.definitions import TICKS
from shared.lake.tables.digest import digest
from shared.lake.tables.files import read
from shared.runtime import metrics
from shared.stores.partitions import OLD, drop_day
from shared.stores.postgres import Postgres, try_lock
from shared.stores.s3 import S3Access

log = logging.getLogger(__name__)

_READERS_S: Final = 600
"""No transaction that planned to read a day from Postgres takes longer."""

_DELETE_OLD: Final = """
DELETE FROM tick_segments
WHERE day = %s AND commit_id <= (SELECT commit_id FROM lake_position)
  AND date '1970-01-01' + floor(first_time_us / 86400000000.0)::int IN (
      SELECT day FROM cold_days WHERE dropped_at < clock_timestamp() - %s * interval '1 second')
"""


def verify(postgres: Postgres, access: S3Access, day: date) -> bool:
    """Read a day's files back; return whether they match the record. Raises TransientError.

    Every row is decoded, and rows and digest are held against the record, which was made of the
    rows that Postgres gave. A difference is logged and counted, and keeps the day.
    """
    with locked(postgres) as connection:
        row = connection.execute(
            "SELECT row_count, digest, verified_at > changed_at FROM lake_days WHERE day = %s",
            (day,),
        ).fetchone()
        if row is None or row[2]:
            return True
        table = open_table(connection, access, TICKS)
        actual = counted(connection, table, day)
        if actual != (row[0], row[1]):
            metrics.LAKE_DIFFERS.inc()
            log.error("the files of %s hold %s, the record says %s", day, actual, (row[0], row[1]))
            return False
        connection.execute(
            "UPDATE lake_days SET verified_at = clock_timestamp() WHERE day = %s", (day,)
        )
    return True


def counted(connection: Connection, table: Table, day: date) -> tuple[int, int]:
    """Read a day's files; return their rows and digest. Raises TransientError.

    That may take longer than Postgres lets the connection's transaction send nothing.
    """
    rows = total = 0
    with translated():
        for file in files_of(table, day):
            connection.execute("SELECT")
            for batch in read(table.io, file):
                rows, total = rows + len(batch), joined(total, digest(batch))
    return rows, total


def retain(
    postgres: Postgres, access: S3Access, terms: Terms, now_us: int, until: float = math.inf
) -> Iterator[date]:
    """Verify and drop days past the terms, until a time of the monotonic clock; yield partitions.

    Ticks of days without a partition are deleted some time after their day became cold, when nobody
    can have planned to read them here. Raises TransientError.
    """
    for each in old_days(postgres, terms, now_us):
        if time.monotonic() > until:
            return
        if each.waits_for or not verify(postgres, access, each.day):
            continue
        if not each.is_partition:
            with locked(postgres) as connection:
                _becomes_cold(connection, each.day, terms)
        elif drop(postgres, each.day, terms):
            yield each.day
    with postgres.connection() as connection:
        connection.execute(_DELETE_OLD, (OLD, _READERS_S))


def drop(postgres: Postgres, day: date, terms: Terms) -> bool:
    """Drop a verified day's partition; return False when something came between.

    What the day has is judged once no commit stores there any more; from then on it is read from
    the lake. Raises TransientError when somebody still reads the partition: it is tried again.
    """

    def proved(connection: Connection, _: sql.Identifier) -> bool:
        return try_lock(connection, LOCK) and _becomes_cold(connection, day, terms)

    return drop_day(postgres, "tick_segments", day, proved)


def _becomes_cold(connection: Connection, day: date, terms: Terms) -> bool:
    if waits_for(connection, day, terms):
        return False
    unverified = connection.execute(
        "SELECT FROM lake_days WHERE day = %s AND verified_at > changed_at IS NOT true", (day,)
    )
    if unverified.rowcount:
        return False
    connection.execute("INSERT INTO cold_days (day) VALUES (%s) ON CONFLICT DO NOTHING", (day,))
    return True
