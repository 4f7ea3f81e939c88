"""Appends stored ticks that are not in the lake yet, in one commit."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import date
from typing import Final

import numpy as np
import pyarrow as pa
from pyiceberg.manifest import DataFile
from pyiceberg.table import Table

from shared.errors import TransientError
from shared.lake.access import translated
from shared.lake.catalog import LakeBusyError, commit, locked, open_table
from shared.lake.record import HOUR_US, Change, move, position_of
from shared.lake.tables.definitions import SMALL_ROW_GROUP, TICKS
from shared.lake.tables.digest import digest
from shared.lake.tables.files import write
from shared.lake.tables.tick_table import each_trade_once, ints, to_table, whole
from shared.market.utc_days import DAY_US, day_of
from shared.stores.commits import last_settled_commit
from shared.stores.postgres import Postgres
from shared.stores.s3 import S3Access
from shared.stores.segments import ticks_of_commits
from shared.wire.ticks import Ticks

POSITION: Final = "kandle.position"
"""The property of a snapshot that names the last commit of ticks in it."""
_MOST_ROWS: Final = 150_000
"""About as many are sorted at once: 0.6 KB each."""
_FEW_ROWS: Final = 65_536

_UNTIL: Final = """
SELECT min(commit_id) FROM (
    SELECT commit_id, sum(tick_count) OVER (ORDER BY commit_id) AS ticks
    FROM stored_days WHERE commit_id > %s AND commit_id <= %s) AS commits
WHERE ticks >= %s
"""

_NEWEST: Final = "SELECT coalesce(max(commit_id), 0) FROM tick_segments"
_WAITING: Final = (
    "SELECT EXISTS (SELECT FROM tick_segments s, lake_position p"
    " WHERE s.commit_id > p.commit_id AND s.commit_id <= %s)"
)
_PAUSE_S: Final = 0.2


def copy_ticks(postgres: Postgres, access: S3Access) -> int:
    """Copy ticks stored since the last snapshot; return how many. Raises TransientError.

    1. Read the commits after the position, under the lake's lock. 2. Create the objects. 3. Commit
    the table's snapshot and the position that it reaches, in one transaction. Cut off anywhere
    before its end, the position is as it was and the objects are garbage.
    """
    with locked(postgres) as connection:
        position, until = position_of(connection), last_settled_commit(connection)
        if until <= position:
            return 0
        row = connection.execute(_UNTIL, (position, until, _MOST_ROWS)).fetchone()
        until = row[0] if row and row[0] is not None else until
        ticks = [each for _, each in ticks_of_commits(connection, position, until)]
        table = open_table(connection, access, TICKS)
        files, changes = _write(table, ticks)
        if files:
            commit(table, files, properties={POSITION: str(until)})
        move(connection, until, changes)
    return sum(change.taken for change in changes.values())


def copy_stored(postgres: Postgres, access: S3Access, *, patience_s: float) -> int:
    """Copy all stored ticks; return how many.

    Waits for another that holds the lake's lock, and for commits in flight. Raises TransientError
    when that takes longer than `patience_s`.
    """
    until_s = time.monotonic() + patience_s
    with postgres.connection() as connection:
        newest = connection.execute(_NEWEST).fetchone()
    count = 0
    while True:
        copied = 0
        with suppress(LakeBusyError):
            count += (copied := copy_ticks(postgres, access))
        with postgres.connection() as connection:
            waiting = connection.execute(_WAITING, newest).fetchone()
        if waiting is None or not waiting[0]:
            return count
        if not copied:
            if time.monotonic() > until_s:
                raise TransientError("stored ticks wait for a commit that does not end")
            time.sleep(_PAUSE_S)


def _write(table: Table, ticks: list[Ticks]) -> tuple[list[DataFile], dict[date, Change]]:
    """Write one object per hour, or one for a day of few ticks, each trade once.

    Returns what they hold, and what came to each UTC day.
    """
    rows = to_table(ticks).combine_chunks()  # each cut of thousands costs thousands
    ticks.clear()
    days, counts = np.unique(ints(whole(rows["time"])) // DAY_US, return_counts=True)
    taken = dict(zip(days.tolist(), counts.tolist(), strict=True))
    files: list[DataFile] = []
    changes: dict[date, Change] = {}
    rows = each_trade_once(rows)
    for number, of_day in _intervals(rows, DAY_US):
        day = day_of(number * DAY_US)
        hours = [of_day]
        if len(of_day) >= _FEW_ROWS:
            hours = [of_hour for _, of_hour in _intervals(of_day, HOUR_US)]
        with translated():
            for each in hours:
                files += write(table, day, [each], TICKS, row_group=SMALL_ROW_GROUP)
        changes[day] = Change(len(of_day), digest(of_day), taken[number])
    return files, changes


def _intervals(rows: pa.Table, length_us: int) -> Iterator[tuple[int, pa.Table]]:
    """Yield the number of each interval of time, and its rows in their order."""
    numbers = ints(whole(rows["time"])) // length_us
    order = np.argsort(numbers, kind="stable")
    each, starts = np.unique(numbers[order], return_index=True)
    if len(each) == 1:
        yield int(each[0]), rows
        return
    parts = np.split(order, starts[1:])  # one, and empty, if there are no rows
    for number, indices in zip(each.tolist(), parts, strict=False):
        yield number, rows.take(pa.array(indices))
