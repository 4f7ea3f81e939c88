"""Merges small tick files into few sorted ones, each trade once."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from datetime import date
from itertools import accumulate
from typing import Final

import pyarrow as pa
from psycopg import Connection
from pyiceberg.manifest import DataFile
from pyiceberg.table import Table

from shared.lake.access import between, translated
from shared.lake.catalog import commit, locked, open_table
from shared.lake.maintenance.schedule import COMPACTED_S
from shared.lake.record import HOUR_US, Change, add, joined
from shared.lake.tables.definitions import ROW_GROUP, SMALL_ROW_GROUP, TICKS, Definition
from shared.lake.tables.digest import digest
from shared.lake.tables.files import bounds, read, rows_at_once, runs_of, write
from shared.lake.tables.merge import merged
from shared.lake.tables.tick_table import each_trade_once
from shared.market.utc_days import DAY_US, begin_us
from shared.stores.postgres import Postgres
from shared.stores.s3 import S3Access

DAY_BYTES: Final = 256 << 20
"""The hours of a day that has no more than this become one set of files; others stay hours."""

ALIKE: Final = 8
"""So many runs of an hour that goes on become one, when they are of like size."""
MOST_ROWS: Final = 8_000_000
"""A run has no more, so that a fold ends within a round: 4 us a row."""
Run = list[DataFile]
"""Files that are sorted one after the other."""

_ROWS_AT_ONCE: Final = 65_536
"""Rows that a merge holds, one row group per run: 230 bytes a row."""


def compact(
    postgres: Postgres, access: S3Access, day: date, now_us: int, *, settled_s: float = COMPACTED_S
) -> bool:
    """Merge one group of a day's files; return whether more may follow. Raises TransientError.

    The new objects are created first; then one transaction lets them count and the old ones cease.
    """
    with locked(postgres) as connection:
        table = open_table(connection, access, TICKS)
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
    """Return the current files of a UTC day."""
    low = begin_us(day)
    scan = table.scan(row_filter=between(low, low + DAY_US))
    return [task.file for task in scan.plan_files()]


def _groups(files: list[DataFile], day: date, until_us: int) -> Iterator[tuple[list[Run], int]]:
    """Yield runs that are to be one, with the size of the row groups that it is to have.

    Of an hour that goes on some that are alike, of one that is over all, of a day that is over all,
    unless it is large. As many at once as a merge can hold and ends soon, the smallest first.
    """
    is_over = begin_us(day) + DAY_US <= until_us
    stays_bytes = DAY_BYTES // 24
    groups: list[list[DataFile]] = []
    if is_over and sum(file.file_size_in_bytes for file in files) <= DAY_BYTES:
        groups, stays_bytes = [files], 0
    else:
        for hour, hour_files in _by_hour(files).items():
            if (hour + 1) * HOUR_US <= until_us:
                groups.append(hour_files)
            else:
                groups += _similar_runs(hour_files)
    for group in groups:
        runs = sorted(runs_of(group), key=_rows)
        rows_in_memory = accumulate(map(rows_at_once, runs))
        rows = accumulate(map(_rows, runs))
        chosen = [
            run
            for run, at_once, total in zip(runs, rows_in_memory, rows, strict=True)
            if at_once <= _ROWS_AT_ONCE and total <= MOST_ROWS
        ]
        if len(chosen) > 1:
            stays = len(chosen) == len(runs) and sum(map(_bytes, chosen)) > stays_bytes
            yield chosen, ROW_GROUP if stays else SMALL_ROW_GROUP


def _by_hour(files: list[DataFile]) -> dict[int, list[DataFile]]:
    by_hour: dict[int, list[DataFile]] = defaultdict(list)
    for file in files:
        by_hour[bounds(file, TICKS.schema, "time")[0] // HOUR_US].append(file)
    return by_hour


def _similar_runs(files: list[DataFile]) -> Iterator[list[DataFile]]:
    """Yield the files of runs within a factor of 8 in size, if there are ALIKE of them."""
    sizes: dict[int, list[Run]] = defaultdict(list)
    for run in runs_of(files):
        sizes[_rows(run).bit_length() // 3].append(run)
    for runs in sizes.values():
        if len(runs) >= ALIKE:
            yield [file for run in runs for file in run]


def _rows(run: Run) -> int:
    return sum(file.record_count for file in run)


def _bytes(run: Run) -> int:
    return sum(file.file_size_in_bytes for file in run)


def _fold(connection: Connection, table: Table, day: date, runs: list[Run], row_group: int) -> None:
    sums = [0, 0]

    def folded(rows: pa.Table) -> pa.Table:
        unique = each_trade_once(rows)
        if len(unique) < len(rows):
            sums[0] += len(unique) - len(rows)
            sums[1] = joined(sums[1], digest(unique), -digest(rows))
        return unique

    sources = [read(table.io, *run) for run in runs]
    before = [file for run in runs for file in run]
    rewrite(table, TICKS, day, sources, folded, before, "kandle.compacted", row_group=row_group)
    add(connection, day, Change(sums[0], sums[1]))
    connection.execute(
        "UPDATE lake_days SET verified_at = NULL WHERE day = %s AND verified_at IS NOT NULL", (day,)
    )


def rewrite(
    table: Table,
    definition: Definition,
    day: date,
    sources: Sequence[Iterator[pa.Table]],
    fold: Callable[[pa.Table], pa.Table],
    before: Sequence[DataFile],
    reason: str,
    *,
    row_group: int = ROW_GROUP,
) -> None:
    """Replace files of a day by the merged rows of sorted sources. Raises TransientError.

    `fold`: see `merged`. `reason`: the property of the snapshot that names the day.
    """
    with translated():
        rows = merged(sources, definition.key, definition.group_us, fold)
        files = write(table, day, rows, definition, row_group=row_group)
    if files or before:
        commit(table, files, before, {reason: str(day)})
