"""Commits: the numbered transactions that store ticks, and which of them are still in flight."""

from __future__ import annotations

from typing import Final

from psycopg import Connection

_SPACE: Final = 0x6B616E64 << 32
"""The advisory locks of commits: this and the low 32 bits of a commit's number."""
_LOW: Final = 0xFFFFFFFF

_ANNOUNCE: Final = "SELECT pg_advisory_xact_lock_shared(%s | (last_value & %s)) FROM commits"
_LAST: Final = "SELECT last_value FROM commits"
_IN_FLIGHT: Final = """
    SELECT objid::bigint FROM pg_locks
    WHERE locktype = 'advisory' AND objsubid = 1 AND classid = %s
      AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""


def next_commit(connection: Connection) -> int:
    """Return the number of the commit that this transaction is.

    Before it is taken, a lock that ends with the transaction says that numbers above the last one
    may still come.
    """
    announce(connection)
    row = connection.execute("SELECT nextval('commits')").fetchone()
    assert row is not None
    return int(row[0])


def announce(connection: Connection) -> None:
    """Hold back `last_settled_commit` until the transaction ends."""
    connection.execute(_ANNOUNCE, (_SPACE, _LOW))


def last_settled_commit(connection: Connection) -> int:
    """Return the highest number up to which all commits have ended.

    What they stored is seen by statements that begin later, unless the transaction reads one
    snapshot throughout.
    """
    row = connection.execute(_LAST).fetchone()
    assert row is not None
    last = int(row[0])
    in_flight = _in_flight(connection, last)
    return min([last, *in_flight])


def are_settled(connection: Connection, until: int) -> bool:
    """Tell whether every transaction ended that was announced before number `until` was taken."""
    return not any(number <= until for number in _in_flight(connection, until))


def _in_flight(connection: Connection, near: int) -> list[int]:
    """Return the numbers that are held; `near` gives their high bits."""
    rows = connection.execute(_IN_FLIGHT, (_SPACE >> 32,)).fetchall()
    return [near - _signed((near - int(low)) & _LOW) for (low,) in rows]


def _signed(difference: int) -> int:
    return difference - (1 << 32) if difference >= 1 << 31 else difference
