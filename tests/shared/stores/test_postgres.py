"""What a pool of connections keeps to: its bound on statements, and whether it migrates."""

from __future__ import annotations

import psycopg
import pytest

from shared.errors import TransientError
from shared.stores.limits import MAINTENANCE, Limits
from shared.stores.postgres import Postgres


def test_the_server_ends_a_statement_that_takes_too_long(empty_database: str) -> None:
    """The schema is brought up to date all the same, however long that takes."""
    postgres = Postgres(empty_database, size=1, limits=Limits(200, 0, 0))
    with pytest.raises(TransientError, match="statement timeout"):
        postgres.execute("SELECT pg_sleep(20)")
    postgres.execute("SELECT FROM candles")
    postgres.close()


def test_a_replica_is_not_migrated(empty_database: str) -> None:
    """It follows its primary, and refuses writes."""
    replica = Postgres(empty_database, size=1, migrates=False)
    replica.execute("SELECT 1")
    with psycopg.connect(empty_database) as connection:
        row = connection.execute("SELECT to_regclass('candles')").fetchone()
    assert row == (None,)
    replica.close()


def test_a_wait_for_a_lock_ends_for_the_one_who_waits(database: str) -> None:
    """Who holds the lock, and who comes later, go on."""
    postgres = Postgres(database, size=2, limits=Limits(60_000, 100, 0))
    postgres.check()
    with psycopg.connect(database) as holder:
        holder.execute("LOCK TABLE candles IN ACCESS SHARE MODE")
        with pytest.raises(TransientError, match="lock timeout"):
            postgres.execute("LOCK TABLE candles IN ACCESS EXCLUSIVE MODE")
        postgres.execute("SELECT FROM candles")
    postgres.close()


def test_a_transaction_that_sends_nothing_ends_with_its_locks(database: str) -> None:
    """The server closes its connection."""
    postgres = Postgres(database, size=2, limits=Limits(60_000, 0, 200))
    postgres.check()

    def idle() -> None:
        with postgres.connection() as connection:
            connection.execute("LOCK TABLE candles IN ACCESS EXCLUSIVE MODE")
            postgres.execute("SELECT FROM candles")  # waits until the idle one is ended
            connection.execute("SELECT 1")

    with pytest.raises(TransientError, match="idle-in-transaction"):
        idle()
    postgres.close()


def test_a_connection_that_has_just_answered_and_then_ended_is_replaced(database: str) -> None:
    """It is not asked whether it is alive each time, but what the server sent last is seen."""
    postgres = Postgres(database, size=1)
    with psycopg.connect(database, autocommit=True) as other:
        for _ in range(5):
            postgres.check()
            ended = other.execute(
                "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
                " WHERE datname = current_database() AND application_name = 'kandle'"
            ).fetchall()
            assert ended == [(True,)]
            postgres.execute("SELECT FROM candles")
    postgres.close()


def test_the_server_looks_whether_clients_are_there(database: str) -> None:
    """A query of a client that was killed does not go on to its end."""
    postgres = Postgres(database, size=1, limits=MAINTENANCE)
    with postgres.connection() as connection:
        row = connection.execute("SHOW client_connection_check_interval").fetchone()
    assert row == ("5s",)
    postgres.close()
