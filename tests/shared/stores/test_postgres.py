"""Connection pool: bounds on statements, migrations, replaced connections."""

from __future__ import annotations

import psycopg
import pytest

from shared.errors import TransientError
from shared.stores.limits import MAINTENANCE, Limits
from shared.stores.postgres import Postgres


def test_the_server_ends_a_statement_that_takes_too_long(empty_database: str) -> None:
    """The server ends a statement over its bound, but migrations run however long they take."""
    postgres = Postgres(empty_database, size=1, limits=Limits(200, 0, 0))
    with pytest.raises(TransientError, match="statement timeout"):
        postgres.execute("SELECT pg_sleep(20)")
    postgres.execute("SELECT FROM candles")
    postgres.close()


def test_a_replica_is_not_migrated(empty_database: str) -> None:
    """A replica, which follows its primary and refuses writes, is not migrated."""
    replica = Postgres(empty_database, size=1, migrates=False)
    replica.execute("SELECT 1")
    with psycopg.connect(empty_database) as connection:
        row = connection.execute("SELECT to_regclass('candles')").fetchone()
    assert row == (None,)
    replica.close()


def test_a_lock_wait_times_out_for_the_waiter_only(database: str) -> None:
    """A wait for a lock times out, and its holder and later ones go on."""
    postgres = Postgres(database, size=2, limits=Limits(60_000, 100, 0))
    postgres.check()
    with psycopg.connect(database) as holder:
        holder.execute("LOCK TABLE candles IN ACCESS SHARE MODE")
        with pytest.raises(TransientError, match="lock timeout"):
            postgres.execute("LOCK TABLE candles IN ACCESS EXCLUSIVE MODE")
        postgres.execute("SELECT FROM candles")
    postgres.close()


def test_an_idle_transaction_is_ended_with_its_locks(database: str) -> None:
    """The server closes the connection of an idle transaction, which releases its locks."""
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


def test_a_closed_connection_is_replaced(database: str) -> None:
    """A connection that the server has closed is replaced without a query to check it."""
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


def test_a_query_of_a_dead_client_is_cancelled(database: str) -> None:
    """The query of a client that was killed is cancelled."""
    postgres = Postgres(database, size=1, limits=MAINTENANCE)
    with postgres.connection() as connection:
        row = connection.execute("SHOW client_connection_check_interval").fetchone()
    assert row == ("5s",)
    postgres.close()
