"""Stored ticks that are not in the lake yet, appended to its table in one commit."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import date
from typing import Final

import numpy as np
import pyarrow as pa
from pyiceberg.manifest import DataFile
from pyiceberg.table import Table

from shared.errors import TransientError
from shared.lake.access import translated
from shared.lake.catalog import LOCK, Catalog, commit
from shared.lake.digest import digest
from shared.lake.files import write
from shared.lake.record import DAY_US, Change, day_of, joined, lake_of, move, position_of
from shared.lake.tables import SMALL_ROW_GROUP, TICKS
from shared.lake.tick_table import each_trade_once, ints, to_table, whole
from shared.stores.commits import last_settled_commit
from shared.stores.postgres import Postgres, try_lock
from shared.stores.s3 import S3Access
from shared.stores.segments import ticks_of_commits
from shared.ticks import Ticks

POSITION: Final = "kandle.position"
"""The property of a snapshot that names the last commit of ticks in it."""
_ROWS: Final = 65_536
_MOST_ROWS: Final = 2_000_000

_NEWEST: Final = "SELECT coalesce(max(commit_id), 0) FROM tick_segments"
_WAITING: Final = (
    "SELECT EXISTS (SELECT FROM tick_segments s, lake_position p"
    " WHERE s.commit_id > p.commit_id AND s.commit_id <= %s)"
)
_PAUSE_S: Final = 0.2


def copy_ticks(postgres: Postgres, access: S3Access) -> int:
    """Copy what was stored since the last snapshot; return how many ticks. Raises TransientError.

    1. Read the commits after the position, under the lake's lock. 2. Create the objects. 3. Commit
    the table's snapshot and the position that it reaches, in one transaction. Cut off anywhere
    before its end, the position is as it was and the objects are garbage.
    """
    with postgres.connection() as connection:
        if not try_lock(connection, LOCK):
            return 0
        position, until = position_of(connection), last_settled_commit(connection)
        if until <= position:
            return 0
        table = Catalog(connection, access).table(TICKS, lake_of(connection))
        work = _Work(table)
        for commit_id, ticks in ticks_of_commits(connection, position, until):
            if work.taken >= _MOST_ROWS and commit_id > position:
                until = position
                break
            work.take(ticks)
            position = commit_id
        work.write()
        if work.files:
            commit(table, work.files, properties={POSITION: str(until)})
        move(connection, until, work.changes)
    return work.taken


def copy_stored(postgres: Postgres, access: S3Access, *, patience_s: float) -> int:
    """Copy all ticks that are stored by now; return how many.

    Waits for another that holds the lake's lock, and for commits in flight. Raises TransientError
    when that takes longer than `patience_s`.
    """
    until_s = time.monotonic() + patience_s
    with postgres.connection() as connection:
        newest = connection.execute(_NEWEST).fetchone()
    count = 0
    while True:
        count += (some := copy_ticks(postgres, access))
        with postgres.connection() as connection:
            waiting = connection.execute(_WAITING, newest).fetchone()
        if waiting is None or not waiting[0]:
            return count
        if not some:
            if time.monotonic() > until_s:
                raise TransientError("stored ticks wait for a commit that does not end")
            time.sleep(_PAUSE_S)


class _Work:
    """Files written of ticks, and what they come to by day."""

    def __init__(self, table: Table) -> None:
        self._table = table
        self._waiting: list[Ticks] = []
        self._rows = 0
        self.taken = 0
        self.files: list[DataFile] = []
        self.changes: dict[date, Change] = {}

    def take(self, ticks: Ticks) -> None:
        """Hold ticks until they are enough for files."""
        self._waiting.append(ticks)
        self._rows += len(ticks)
        if self._rows >= _ROWS:
            self.write()

    def write(self) -> None:
        """Write a file for each UTC day of what is held."""
        for day, rows in _by_day(to_table(self._waiting)):
            some = each_trade_once(rows)
            with translated():
                self.files += write(self._table, day, [some], TICKS, row_group=SMALL_ROW_GROUP)
            before = self.changes.get(day, Change(0, 0))
            self.changes[day] = Change(
                before.rows + len(some),
                joined(before.digest, digest(some)),
                before.taken + len(rows),
            )
        self.taken += self._rows
        self._waiting, self._rows = [], 0


def _by_day(table: pa.Table) -> Iterator[tuple[date, pa.Table]]:
    days = ints(whole(table["time"])) // DAY_US
    unique = np.unique(days).tolist()
    for day in unique:
        yield (
            day_of(day * DAY_US),
            table if len(unique) == 1 else table.filter(pa.array(days == day)),
        )
