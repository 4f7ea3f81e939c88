"""The lake's records in Postgres: its name, its position, and expected counts of each day."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Final

from psycopg import Connection

HOUR_US: Final = 3_600_000_000
_DIGESTS: Final = 2**64


@dataclass(frozen=True, slots=True)
class Change:
    """Rows that came to a day's files (`taken` of Postgres), or left them, and their digest."""

    rows: int
    digest: int
    taken: int = 0


def lake_of(connection: Connection) -> str:
    """Return the name of this database's lake."""
    row = connection.execute("SELECT name FROM lake_identity").fetchone()
    assert row is not None
    return str(row[0])


def position_of(connection: Connection) -> int:
    """Return the last commit of ticks that is in the lake."""
    row = connection.execute("SELECT commit_id FROM lake_position").fetchone()
    assert row is not None
    return int(row[0])


def move(connection: Connection, position: int, changes: Mapping[date, Change]) -> None:
    """Note what a snapshot took; in the transaction that commits it."""
    connection.execute("UPDATE lake_position SET commit_id = %s", (position,))
    for day, change in sorted(changes.items()):
        connection.execute(
            "INSERT INTO lake_days (day, taken, row_count, digest) VALUES (%s, 0, 0, 0)"
            " ON CONFLICT DO NOTHING",
            (day,),
        )
        add(connection, day, change)


def add(connection: Connection, day: date, change: Change) -> None:
    """Note what came to a day's files or left them."""
    row = connection.execute("SELECT digest FROM lake_days WHERE day = %s", (day,)).fetchone()
    assert row is not None
    connection.execute(
        "UPDATE lake_days SET row_count = row_count + %s, digest = %s, taken = taken + %s,"
        " changed_at = CASE WHEN %s > 0 THEN clock_timestamp() ELSE changed_at END WHERE day = %s",
        (change.rows, joined(row[0], change.digest), change.taken, change.taken, day),
    )


def joined(*digests: int) -> int:
    """Return the digest of all rows of several tables."""
    total = sum(digests) % _DIGESTS
    return total - _DIGESTS if total >= _DIGESTS // 2 else total
