"""Stores that hang without closing a connection: each is a TransientError within a bound."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import psycopg
import pytest

from local.servers.postgres import postgres
from local.servers.server import Workspace
from local.servers.valkey import valkey
from shared.errors import TransientError
from shared.stores import redis
from shared.stores.postgres import BoundedConnection, Postgres
from tests.local.servers.running import Running

pytestmark = pytest.mark.processes


@contextmanager
def silent(pid: int) -> Iterator[None]:
    """Stop a server and all of its processes; its sockets stay open."""
    os.kill(pid, signal.SIGSTOP)  # first, so that no new process is missed
    children = psutil.Process(pid).children(recursive=True)
    try:
        for each in children:
            each.suspend()
        yield
    finally:
        for each in children:
            each.resume()
        os.kill(pid, signal.SIGCONT)


def test_a_silent_postgres_is_a_transient_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A silent Postgres is a transient error, within a transaction and for a new one.

    The same pool works afterwards.
    """
    monkeypatch.setattr(BoundedConnection, "answer_within_s", 0.5)
    monkeypatch.setattr("shared.stores.postgres.CONNECT_TIMEOUT_S", 0.5)
    monkeypatch.setattr("shared.stores.postgres.ANSWER_WITHIN_S", 0.5)
    with Running(postgres(Workspace.at(tmp_path)), tmp_path) as running:
        store = Postgres(running.variables["DATABASE_URL"], size=1)
        store.execute("CREATE TABLE kept (n integer)")
        assert running.keeper.pid is not None

        def cut_off(pid: int) -> None:
            with store.connection() as connection:
                connection.execute("INSERT INTO kept VALUES (1)")
                with silent(pid):
                    connection.execute("SELECT 1")

        with pytest.raises(TransientError, match="Postgres is away"):
            cut_off(running.keeper.pid)
        with silent(running.keeper.pid), pytest.raises(TransientError, match="Postgres is away"):
            store.check()
        store.execute("INSERT INTO kept VALUES (2)")
        with store.connection() as connection:
            assert connection.execute("SELECT n FROM kept").fetchall() == [(2,)]
        store.close()


def test_a_slow_statement_ends_only_its_connection(database: str) -> None:
    """A statement over its bound ends its connection, and the caller goes on."""
    with BoundedConnection.connect(database) as connection:
        connection.answer_within_s = 0.2
        with pytest.raises(psycopg.OperationalError):
            connection.execute("SELECT pg_sleep(60)")
        assert connection.closed


def test_a_silent_redis_is_a_transient_error(tmp_path: Path) -> None:
    """A silent Redis is a transient error within a bound, and the client works afterwards."""
    with Running(valkey(Workspace.at(tmp_path)), tmp_path) as running:
        client = redis.connect(running.variables["REDIS_URL"], 0.3)
        client.set("a", "1")
        assert running.keeper.pid is not None
        with (
            silent(running.keeper.pid),
            pytest.raises(TransientError, match="Redis is away"),
            redis.translated(),
        ):
            client.get("a")
        assert client.get("a") == b"1"
        client.close()
