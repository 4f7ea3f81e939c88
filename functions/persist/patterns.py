"""Rows of patterns and alerts: a repetition changes nothing, so no event needs to be remembered."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, fields
from typing import Any, Final

from psycopg import sql
from psycopg.types.json import Jsonb

from functions.persist.writer import changes, insert
from shared.alerts.event import AlertEvent
from shared.stores.postgres import Postgres
from shared.wire.patterns import Pattern

_COLUMNS: Final = [field.name for field in fields(Pattern)]
_UPSERT: Final = sql.SQL(
    "{} ON CONFLICT (id) DO UPDATE SET {}, stored_at = now()"
    " WHERE excluded.revision > patterns.revision"
).format(insert("patterns", _COLUMNS), changes(_COLUMNS[1:]))
_INSERT_ALERT: Final = (
    "INSERT INTO alerts (rule_id, instrument, timeframe, start_us, body)"
    " VALUES (%(rule_id)s, %(instrument)s, %(timeframe)s, %(start_us)s, %(body)s)"
    " ON CONFLICT DO NOTHING"
)


class PatternWriter:
    """Writes patterns, the highest revision kept, and alerts. Methods raise TransientError."""

    def __init__(self, postgres: Postgres) -> None:
        self._postgres = postgres

    def patterns(self, patterns: Sequence[Pattern]) -> int:
        """Write patterns; return how many rows changed."""
        # In one order everywhere, so that two workers cannot hold each other's rows.
        rows = [_values(each) for each in sorted(patterns, key=lambda each: each.id)]
        with self._postgres.connection() as connection:
            cursor = connection.cursor()
            cursor.executemany(_UPSERT, rows)
            return cursor.rowcount

    def alert(self, alert: AlertEvent) -> int:
        """Write an alert; return 0 when it was there before."""
        with self._postgres.connection() as connection:
            return connection.execute(_INSERT_ALERT, asdict(alert)).rowcount


def _values(pattern: Pattern) -> list[Any]:
    values = [getattr(pattern, name) for name in _COLUMNS]
    return [Jsonb(value) if isinstance(value, dict) else value for value in values]
