"""Day partitions: made ahead, closed before they are verified, detached while all goes on."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable
from datetime import date
from typing import Final

from psycopg import Connection, sql

from shared.errors import TransientError
from shared.stores.commits import are_settled
from shared.stores.postgres import Postgres, translated

log = logging.getLogger(__name__)

PARENTS: Final = ("tick_segments", "quote_segments", "applied_events")
OLD: Final = date(1, 1, 1)
"""Partition of rows whose day has no open one."""
DAYS_AHEAD: Final = 3

_ATTEMPTS: Final = 5
_PAUSE_S: Final = 0.2
_READERS_S: Final = 5.0
_POLL_S: Final = 0.05


def make_ahead(postgres: Postgres) -> int:
    """Make the partitions of the next days that are missing; return how many.

    Each in a transaction of its own, which gives way to other changes of the parent: it is tried
    again. Raises TransientError.
    """
    count = 0
    for parent in PARENTS:
        count += _make_with_retries(postgres, parent)
    return count


def _make_with_retries(postgres: Postgres, parent: str) -> int:
    for attempt in range(_ATTEMPTS):
        try:
            with postgres.connection() as connection:
                connection.execute("SELECT pg_advisory_xact_lock(hashtext('kandle partitions'))")
                row = connection.execute(
                    "SELECT make_partitions(%s, 0, %s)", (parent, DAYS_AHEAD)
                ).fetchone()
                assert row is not None
                return int(row[0])
        except TransientError:
            if attempt == _ATTEMPTS - 1:
                raise
            time.sleep(_PAUSE_S * 2**attempt)
    raise AssertionError


def open_days(connection: Connection, parent: str, days: Iterable[date]) -> set[date]:
    """Return the days whose partition is open; it stays open until this transaction ends.

    The transaction must be announced as a commit before.
    """
    rows = connection.execute(
        "SELECT day FROM partition_days WHERE parent = %s AND day = ANY(%s) AND closed_at IS NULL",
        (parent, list(days)),
    )
    return {row[0] for row in rows}


def days_before(connection: Connection, parent: str, until: date) -> list[date]:
    """Return the days before `until` that have a partition, the oldest first."""
    rows = connection.execute(
        "SELECT day FROM partition_days WHERE parent = %s AND day < %s ORDER BY day",
        (parent, until),
    )
    return [row[0] for row in rows]


def close(connection: Connection, parent: str, day: date) -> None:
    """Close a day's partition to transactions that begin later."""
    connection.execute(
        "UPDATE partition_days SET closed_at = now()"
        " WHERE parent = %s AND day = %s AND closed_at IS NULL",
        (parent, day),
    )


def drop_day(
    postgres: Postgres,
    parent: str,
    day: date,
    proved: Callable[[Connection, sql.Identifier], bool],
) -> bool:
    """Drop a day's partition once it is proved; return whether it is gone.

    1. Close it: later commits store elsewhere. 2. See that the commits of before have ended.
    3. Prove it: `proved` is given a connection and the partition, and locks neither readers nor
    writers. 4. Wait for the readers that were there before: they may have decided to read it here.
    5. Detach it concurrently: readers and writers of the other days go on. 6. Drop it. What is cut
    off anywhere is taken up by the next call. Raises TransientError: somebody still reads it.
    """
    partition = sql.Identifier(f"{parent}_{day:%Y%m%d}")
    with postgres.connection() as connection:
        close(connection, parent, day)
        row = connection.execute("SELECT last_value FROM commits").fetchone()
        assert row is not None
    with postgres.connection() as connection:
        if not are_settled(connection, int(row[0])):
            return False
        state = _state(connection, parent, day)
        if state == "attached" and not proved(connection, partition):
            return False
    if state == "attached" and not _readers_left(postgres, parent):
        return False
    with postgres.autocommit() as connection, translated():
        if state == "attached":
            connection.execute(
                sql.SQL("ALTER TABLE {} DETACH PARTITION {} CONCURRENTLY").format(
                    sql.Identifier(parent), partition
                )
            )
        elif state == "pending":
            connection.execute(
                sql.SQL("ALTER TABLE {} DETACH PARTITION {} FINALIZE").format(
                    sql.Identifier(parent), partition
                )
            )
    with postgres.connection() as connection:
        connection.execute(sql.SQL("DROP TABLE IF EXISTS {}").format(partition))
        connection.execute(
            "DELETE FROM partition_days WHERE parent = %s AND day = %s", (parent, day)
        )
    log.info("%s of %s left Postgres", parent, day)
    return True


def _readers_left(postgres: Postgres, parent: str) -> bool:
    """Tell whether all transactions that use the parent now ended soon."""
    before: set[str] | None = None
    until = time.monotonic() + _READERS_S
    while time.monotonic() < until:
        with postgres.connection() as connection:
            rows = connection.execute(
                "SELECT virtualtransaction FROM pg_locks WHERE relation = %s::regclass", (parent,)
            )
            now = {row[0] for row in rows}
        before = now if before is None else before & now
        if not before:
            return True
        time.sleep(_POLL_S)
    return False


def _state(connection: Connection, parent: str, day: date) -> str:
    """Return "attached", "pending" (a detaching that was cut off) or "detached"."""
    row = connection.execute(
        "SELECT i.inhdetachpending FROM pg_inherits i"
        " WHERE i.inhparent = %s::regclass AND i.inhrelid = to_regclass(%s)",
        (parent, f"{parent}_{day:%Y%m%d}"),
    ).fetchone()
    if row is None:
        return "detached"
    return "pending" if row[0] else "attached"
