"""Stored ticks that are in no file yet, copied into parts: each segment into exactly one record."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import date, datetime
from typing import Final

import numpy as np
from psycopg import Connection

from shared.lake.due import AT_ONCE, ticks_are_due
from shared.lake.files import write
from shared.lake.manifest import LOCK, lake_of, record
from shared.lake.places import HOUR_US, Place, Written
from shared.lake.tick_table import to_table
from shared.stores.postgres import Postgres, try_lock
from shared.stores.s3 import ObjectStore
from shared.stores.segments import ticks_of_segments
from shared.trades import Rows, concatenated, trades_of

_TICKS_AT_ONCE: Final = 200_000
_UPLOADS: Final = 4

_CLAIM: Final = (
    "SELECT day, event_id, part, tick_count FROM lake_pending_ticks"
    " ORDER BY since, day, event_id, part LIMIT %s"
)


def copy_ticks(postgres: Postgres, store: ObjectStore, *, after_s: float, or_bytes: int = 0) -> int:
    """Copy pending segments once the oldest has waited, or they are many; return how many.

    1. Claim rows of what is pending, under the lake's lock. 2. Create the objects, each under a new
    name. 3. Record them and strike the claimed rows, in the one transaction that held the lock. Cut
    off anywhere before its end, the claim is undone and the objects are garbage. TransientError.
    """
    with postgres.connection() as connection:
        if not try_lock(connection, LOCK):
            return 0
        if not ticks_are_due(connection, after_s, or_bytes):
            return 0
        claimed = _claimed(connection)
        keys = [list(column) for column in zip(*claimed, strict=True)]
        written = _create(connection, store, keys)
        stored_until = _now(connection)
        for each in written:
            record(connection, each, stored_until)
        connection.execute(
            "DELETE FROM lake_pending_ticks p"
            " USING unnest(%s::date[], %s::text[], %s::smallint[]) AS k (day, event_id, part)"
            " WHERE (p.day, p.event_id, p.part) = (k.day, k.event_id, k.part)",
            keys,
        )
    return len(claimed)


def _claimed(connection: Connection) -> list[tuple[date, str, int]]:
    claimed: list[tuple[date, str, int]] = []
    ticks = 0
    for day, event_id, part, count in connection.execute(_CLAIM, (AT_ONCE,)).fetchall():
        if claimed and ticks + count > _TICKS_AT_ONCE:
            break
        claimed.append((day, event_id, part))
        ticks += count
    return claimed


def _create(connection: Connection, store: ObjectStore, keys: Sequence[object]) -> list[Written]:
    """Write a part for each instrument and hour."""
    lake = lake_of(connection)
    parts: dict[str, list[Rows]] = {}
    for ticks in ticks_of_segments(connection, keys):
        parts.setdefault(ticks.names[0], []).append(Rows.of(ticks))
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
