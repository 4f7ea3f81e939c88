"""What a pool of connections keeps to: its bound on statements, and whether it migrates."""

from __future__ import annotations

import psycopg
import pytest

from shared.errors import TransientError
from shared.stores.postgres import Postgres


def test_the_server_ends_a_statement_that_takes_too_long(database: str) -> None:
    """The schema is brought up to date all the same, however long that takes."""
    postgres = Postgres(database, size=1, statement_ms=200)
    with pytest.raises(TransientError, match="statement timeout"):
        postgres.execute("SELECT pg_sleep(20)")
    postgres.execute("SELECT FROM candles")
    postgres.close()


def test_a_replica_is_not_migrated(database: str) -> None:
    """It follows its primary, and refuses writes."""
    replica = Postgres(database, size=1, migrates=False)
    replica.execute("SELECT 1")
    with psycopg.connect(database) as connection:
        row = connection.execute("SELECT to_regclass('candles')").fetchone()
    assert row == (None,)
    replica.close()
