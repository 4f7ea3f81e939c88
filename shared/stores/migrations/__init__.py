"""The Postgres schema as numbered files, applied once each, in order, by whoever comes first."""

from __future__ import annotations

import logging
import re
from importlib import resources
from typing import Final

from psycopg import Connection, errors

log = logging.getLogger(__name__)

_LOCK: Final = 0x6B616E646C65  # "kandle": one migration at a time in a database
_TOGETHER: Final = "0021_segments.sql", "0022_applied.sql"
"""Files that are committed with the next one, which can refuse: it fills their tables."""


def migrate(connection: Connection) -> list[str]:
    """Apply what is missing; return the names applied.

    Each file is committed, so that a later one that fails does not repeat it.
    Raises LockNotAvailable: the caller retries, so that a reader of a table (pg_dump, a notebook)
    delays its change, and not everybody who would wait behind that.
    """
    applied: list[str] = []
    while name := _apply_next(connection):
        applied.append(name)
        if name not in _TOGETHER:
            connection.commit()
    return applied


def _apply_next(connection: Connection) -> str | None:
    # An index of many rows takes its time; the server may have bounds for everybody.
    connection.execute("SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = 0")
    connection.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))
    connection.execute("SET LOCAL lock_timeout = '1s'")
    connection.execute(
        "CREATE TABLE IF NOT EXISTS schema_migrations"
        " (name text PRIMARY KEY, applied_at timestamptz NOT NULL DEFAULT now())"
    )
    applied = {row[0] for row in connection.execute("SELECT name FROM schema_migrations")}
    name = next((each for each in _names() if each not in applied), None)
    if name is not None:
        text = resources.files(__name__).joinpath(name).read_text()
        try:
            connection.execute(text.encode())
        except errors.LockNotAvailable as error:
            raise errors.LockNotAvailable(f"migration {name} waits for a table: {error}") from error
        connection.execute("INSERT INTO schema_migrations (name) VALUES (%s)", (name,))
        log.info("migration %s applied", name)
    return name


def _names() -> list[str]:
    files = (entry.name for entry in resources.files(__name__).iterdir())
    return sorted(name for name in files if re.fullmatch(r"\d{4}_\w+\.sql", name))
