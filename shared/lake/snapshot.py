"""Stored ticks that are in no file yet, copied into parts: each segment into exactly one record."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Final

import numpy as np
from psycopg import Connection

from shared.errors import TransientError
from shared.lake.due import AT_ONCE, ticks_are_due
from shared.lake.files import write
from shared.lake.manifest import LOCK, lake_of, record
from shared.lake.places import HOUR_US, Place, Written
from shared.lake.tick_table import to_table
from shared.stores.commits import last_settled_commit
from shared.stores.postgres import Postgres, try_lock
from shared.stores.s3 import ObjectStore
from shared.stores.segments import ticks_of_commits
from shared.trades import Rows, concatenated, trades_of

_TICKS_AT_ONCE: Final = 200_000
_UPLOADS: Final = 4

_CLAIM: Final = (
    "SELECT commit_id, sum(tick_count)::bigint FROM stored_days"
    " WHERE commit_id > (SELECT commit_id FROM lake_position) AND commit_id <= %s"
    " GROUP BY commit_id ORDER BY commit_id LIMIT %s"
)

_NEWEST: Final = "SELECT coalesce(max(commit_id), 0) FROM tick_segments"
_WAITING: Final = (
    "SELECT EXISTS (SELECT FROM tick_segments s, lake_position p"
    " WHERE s.commit_id > p.commit_id AND s.commit_id <= %s)"
)
_PAUSE_S: Final = 0.2


def copy_ticks(postgres: Postgres, store: ObjectStore, *, after_s: float, or_bytes: int = 0) -> int:
    """Copy pending segments once the oldest has waited, or they are many; return how many.

    1. See under the lake's lock which commits are settled and in no file. 2. Create the objects,
    each under a new name. 3. Record them and move the position, in the one transaction that held
    the lock. Cut off anywhere before its end, the objects are garbage. Raises TransientError.
    """
    with postgres.connection() as connection:
        if not try_lock(connection, LOCK):
            return 0
        if not ticks_are_due(connection, after_s, or_bytes):
            return 0
        until, count = _claimed(connection)
        if not count:
            return 0
        written = _create(connection, store, until)
        stored_until = _now(connection)
        for each in written:
            record(connection, each, stored_until)
        connection.execute("UPDATE lake_position SET commit_id = %s", (until,))
    return count


def copy_stored(postgres: Postgres, store: ObjectStore, *, patience_s: float) -> int:
    """Copy all ticks that are stored by now; return how many segments.

    Waits for another that holds the lake's lock, and for commits in flight. Raises TransientError
    when that takes longer than `patience_s`.
    """
    until_s = time.monotonic() + patience_s
    with postgres.connection() as connection:
        newest = connection.execute(_NEWEST).fetchone()
    count = 0
    while True:
        count += (some := copy_ticks(postgres, store, after_s=0))
        with postgres.connection() as connection:
            waiting = connection.execute(_WAITING, newest).fetchone()
        if waiting is None or not waiting[0]:
            return count
        if not some:
            if time.monotonic() > until_s:
                raise TransientError("stored ticks wait for a commit that does not end")
            time.sleep(_PAUSE_S)


def _claimed(connection: Connection) -> tuple[int, int]:
    """Return the last commit that is to be copied now, and how many there are."""
    settled = last_settled_commit(connection)
    until = ticks = count = 0
    for commit_id, some in connection.execute(_CLAIM, (settled, AT_ONCE)).fetchall():
        if until and ticks + some > _TICKS_AT_ONCE:
            break
        until, ticks, count = commit_id, ticks + some, count + 1
    return until, count


def _create(connection: Connection, store: ObjectStore, until: int) -> list[Written]:
    """Write a part for each instrument and hour."""
    lake = lake_of(connection)
    parts: dict[str, list[Rows]] = {}
    (after,) = connection.execute("SELECT commit_id FROM lake_position").fetchone() or (0,)
    for _, ticks in ticks_of_commits(connection, after, until):
        for each in ticks.by_entry():
            parts.setdefault(each.names[0], []).append(Rows.of(each))
    places = [
        (Place.of_ticks(name, start_us), rows)
        for name, some in parts.items()
        for start_us, rows in _by_hour(trades_of(concatenated(some)).rows)
    ]

    def create(place: tuple[Place, Rows]) -> Written:
        written = write(store, lake, place[0], [to_table(place[1])], whole=False)
        assert written is not None
        return written

    with ThreadPoolExecutor(_UPLOADS, "lake") as pool:
        return list(pool.map(create, places))


def _by_hour(rows: Rows) -> Iterator[tuple[int, Rows]]:
    hours = rows.time_us // HOUR_US
    for hour in np.unique(hours).tolist():
        yield hour * HOUR_US, rows.at(hours == hour)


def _now(connection: Connection) -> datetime:
    row = connection.execute("SELECT clock_timestamp()").fetchone()
    assert row is not None
    found: datetime = row[0]
    return found
