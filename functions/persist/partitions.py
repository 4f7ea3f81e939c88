"""Day partitions of segments, made a day ahead and when a day is first seen."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import date, timedelta
from typing import Final

from psycopg import sql

from shared.stores.postgres import Postgres

_AT_ONCE: Final = 30


class Partitions:
    """Remembers which days of a table have a partition, and makes those that are missing."""

    def __init__(self, postgres: Postgres, table: str = "tick_segments") -> None:
        self._postgres = postgres
        self._table = table
        self._asked: set[date] = set()
        self._made: set[date] = set()

    def ensure(self, days: Iterable[date]) -> None:
        """Make the partitions in transactions of their own, one maker at a time.

        The day after each is made with it, so that midnight finds its partition there.
        """
        fresh = set(days) - self._asked
        missing = sorted({day + timedelta(days=n) for day in fresh for n in (0, 1)} - self._made)
        for some in batched(missing, _AT_ONCE):
            with self._postgres.connection() as connection:
                connection.execute("SELECT pg_advisory_xact_lock(hashtext('kandle partitions'))")
                for day in some:
                    connection.execute(
                        sql.SQL(
                            "CREATE TABLE IF NOT EXISTS {} PARTITION OF {}"
                            " FOR VALUES FROM ({}) TO ({})"
                        ).format(
                            sql.Identifier(f"{self._table}_{day:%Y%m%d}"),
                            sql.Identifier(self._table),
                            sql.Literal(day.isoformat()),
                            sql.Literal((day + timedelta(days=1)).isoformat()),
                        )
                    )
            self._made.update(some)
        self._asked |= fresh

    def forget(self, days: Iterable[date]) -> None:
        """Look again next time: a partition was dropped."""
        self._asked -= set(days)
        self._made -= set(days)


def batched(days: Sequence[date], size: int) -> Iterator[Sequence[date]]:
    """Yield the days in parts: each transaction holds the parent's lock for a moment only."""
    for first in range(0, len(days), size):
        yield days[first : first + size]
