"""The Postgres schema as numbered files, applied once each, in order, by whoever comes first."""

from __future__ import annotations

import logging
import re
from importlib import resources
from typing import Final

from psycopg import Connection

log = logging.getLogger(__name__)

_LOCK: Final = 0x6B616E646C65  # "kandle": one migration at a time in a database


def migrate(connection: Connection) -> list[str]:
    """Apply what is missing, in the connection's transaction; return the names applied."""
    connection.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))
    connection.execute(
        "CREATE TABLE IF NOT EXISTS schema_migrations"
        " (name text PRIMARY KEY, applied_at timestamptz NOT NULL DEFAULT now())"
    )
    applied = {row[0] for row in connection.execute("SELECT name FROM schema_migrations")}
    fresh = [name for name in _names() if name not in applied]
    for name in fresh:
        text = resources.files(__name__).joinpath(name).read_text()
        connection.execute(text.encode())
        connection.execute("INSERT INTO schema_migrations (name) VALUES (%s)", (name,))
        log.info("migration %s applied", name)
    return fresh


def _names() -> list[str]:
    files = (entry.name for entry in resources.files(__name__).iterdir())
    return sorted(name for name in files if re.fullmatch(r"\d{4}_\w+\.sql", name))
