"""Day partitions of the tick segments, made a day ahead and when a day is first seen."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, timedelta

from psycopg import sql

from shared.stores.postgres import Postgres


class Partitions:
    """Remembers which days have a partition, and makes those that are missing."""

    def __init__(self, postgres: Postgres) -> None:
        self._postgres = postgres
        self._made: set[date] = set()

    def ensure(self, days: Iterable[date]) -> None:
        """Make the partitions in a transaction of their own, one maker at a time.

        The day after each is made with it, so that midnight finds its partition there.
        """
        fresh = set(days) - self._made
        if not fresh:
            return
        missing = sorted(fresh | {day + timedelta(days=1) for day in fresh})
        with self._postgres.connection() as connection:
            connection.execute("SELECT pg_advisory_xact_lock(hashtext('kandle partitions'))")
            for day in missing:
                connection.execute(
                    sql.SQL(
                        "CREATE TABLE IF NOT EXISTS {} PARTITION OF tick_segments"
                        " FOR VALUES FROM ({}) TO ({})"
                    ).format(
                        sql.Identifier(f"tick_segments_{day:%Y%m%d}"),
                        sql.Literal(day.isoformat()),
                        sql.Literal((day + timedelta(days=1)).isoformat()),
                    )
                )
        self._made.update(missing)
