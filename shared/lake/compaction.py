"""Small files of ticks folded into few sorted ones in which each trade stands once."""

from __future__ import annotations

import logging
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterator
from datetime import date
from itertools import accumulate, pairwise
from typing import Any, Final

import pyarrow as pa
from psycopg import Connection
from pyiceberg.conversions import from_bytes
from pyiceberg.manifest import DataFile
from pyiceberg.table import Table

from shared.lake.access import between, translated
from shared.lake.catalog import LOCK, Catalog, commit
from shared.lake.digest import digest
from shared.lake.files import read, rows_at_once, write
from shared.lake.merge import merged
from shared.lake.record import DAY_US, HOUR_US, Change, add, begin_us, joined, lake_of
from shared.lake.tables import ROW_GROUP, SMALL_ROW_GROUP, TICKS, Definition
from shared.lake.tick_table import each_trade_once
from shared.stores.postgres import Postgres, try_lock
from shared.stores.s3 import S3Access
from shared.trades import MINUTE_US

log = logging.getLogger(__name__)

SETTLED_S: Final = 60
"""An hour, or a day, is compacted when it has been over for so long."""
EACH_S: Final = 300
"""A day is looked at so often at most."""
DAY_BYTES: Final = 256 << 20
"""The hours of a day that has no more than this become one set of files; others stay hours."""

_ROWS: Final = 32_768
"""A merge holds so many rows of its files, a row group of each: 200 bytes a row, and copies."""

_DUE: Final = """
SELECT day FROM lake_days
WHERE changed_at > coalesce(compacted_at, '-infinity')
  AND coalesce(tried_at < clock_timestamp() - %s * interval '1 second', true)
ORDER BY day LIMIT 100
"""


def due_days(postgres: Postgres, *, each_s: float = EACH_S) -> list[date]:
    """Return days whose files changed since they were compacted. Raises TransientError."""
    with postgres.connection() as connection:
        return [row[0] for row in connection.execute(_DUE, (each_s,)).fetchall()]


def compact(
    postgres: Postgres, access: S3Access, day: date, now_us: int, *, settled_s: float = SETTLED_S
) -> bool:
    """Fold one group of a day's files; return whether there may be another. TransientError.

    The new objects are created first; then one transaction lets them count and the old ones cease.
    """
    with postgres.connection() as connection:
        if not try_lock(connection, LOCK):
            return False
        table = Catalog(connection, access).table(TICKS, lake_of(connection))
        until_us = now_us - int(settled_s * 1_000_000)
        with translated():
            group = next(_groups(files_of(table, day), day, until_us), None)
        if group is None:
            is_over = begin_us(day) + DAY_US <= until_us
            connection.execute(
                "UPDATE lake_days SET tried_at = clock_timestamp(), compacted_at ="
                " CASE WHEN %s THEN clock_timestamp() ELSE compacted_at END WHERE day = %s",
                (is_over, day),
            )
            return False
        _fold(connection, table, day, *group)
    return True


def files_of(table: Table, day: date) -> list[DataFile]:
    """Return the files of a UTC day that count."""
    low = begin_us(day)
    scan = table.scan(row_filter=between(low, low + DAY_US))
    return [task.file for task in scan.plan_files()]


def bounds(file: DataFile, definition: Definition, name: str) -> tuple[Any, Any]:
    """Return the lowest and highest value of a key column in a file; times in microseconds."""
    field = definition.schema.find_field(name)
    kind: Any = field.field_type
    low, high = file.lower_bounds[field.field_id], file.upper_bounds[field.field_id]
    return from_bytes(kind, low), from_bytes(kind, high)


def _groups(
    files: list[DataFile], day: date, until_us: int
) -> Iterator[tuple[list[DataFile], int]]:
    """Yield files that are to be one, of each hour that is over, or of the day once it is.

    With the size of the row groups that they are to have.

    As many at once as a merge can hold, the smallest first; what they come to is folded with the
    others next.
    """
    by_hour: dict[int, list[DataFile]] = defaultdict(list)
    spans_hours = False
    for file in files:
        low, high = bounds(file, TICKS, "time")
        spans_hours |= low // HOUR_US != high // HOUR_US
        by_hour[low // HOUR_US].append(file)
    is_over = begin_us(day) + DAY_US <= until_us
    if is_over and (spans_hours or sum(f.file_size_in_bytes for f in files) <= DAY_BYTES):
        groups, stays_bytes = [files], 0
    else:
        groups = [some for hour, some in by_hour.items() if (hour + 1) * HOUR_US <= until_us]
        stays_bytes = DAY_BYTES // 24
    for group in groups:
        if not _is_one(group):
            group.sort(key=lambda file: file.file_size_in_bytes)
            held = list(accumulate(map(rows_at_once, group)))
            first = group[: max(bisect_right(held, _ROWS), 2)]
            stays = first == group and sum(f.file_size_in_bytes for f in group) > stays_bytes
            yield first, ROW_GROUP if stays else SMALL_ROW_GROUP


def _is_one(files: list[DataFile]) -> bool:
    """Tell whether no two files hold ticks of one instrument."""
    ranges = sorted(bounds(file, TICKS, "symbol") for file in files)
    return all(a[1] < b[0] for a, b in pairwise(ranges))


def _fold(
    connection: Connection, table: Table, day: date, group: list[DataFile], row_group: int
) -> None:
    sums = [0, 0]

    def folded(rows: pa.Table) -> pa.Table:
        some = each_trade_once(rows)
        if len(some) < len(rows):
            sums[0] += len(some) - len(rows)
            sums[1] = joined(sums[1], digest(some), -digest(rows))
        return some

    with translated():
        rows = merged([read(table.io, file) for file in group], TICKS.key, MINUTE_US, folded)
        files = write(table, day, rows, TICKS, row_group=row_group)
    commit(table, files, group, {"kandle.compacted": str(day)})
    add(connection, day, Change(sums[0], sums[1]))
    connection.execute(
        "UPDATE lake_days SET verified_at = NULL WHERE day = %s AND verified_at IS NOT NULL", (day,)
    )
    log.debug("%d files of %s became %d", len(group), day, len(files))
