"""Postgres at the edge: a bounded pool, the schema, errors that say whether to try again."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import LiteralString

import psycopg
from psycopg import Connection, errors
from psycopg_pool import ConnectionPool, PoolTimeout

from shared.errors import TransientError
from shared.stores.migrations import migrate

CONNECT_TIMEOUT_S = 5


class Postgres:
    """A pool of connections. The first use brings the schema up to date."""

    def __init__(self, dsn: str, *, size: int = 4) -> None:
        self._pool = ConnectionPool(
            dsn,
            min_size=1,
            max_size=size,
            timeout=CONNECT_TIMEOUT_S,
            kwargs={"connect_timeout": CONNECT_TIMEOUT_S, "application_name": "kandle"},
            check=ConnectionPool.check_connection,
            open=False,
        )
        self._migrated = False

    @contextmanager
    def connection(self) -> Iterator[Connection]:
        """Yield a connection in a transaction, committed at the end. Raises TransientError."""
        with translated():
            self._pool.open()
            with self._pool.connection() as connection:
                if not self._migrated:
                    migrate(connection)
                    connection.commit()
                    self._migrated = True
                yield connection

    def execute(self, statement: LiteralString) -> None:
        """Run one statement in a transaction of its own. Raises TransientError."""
        with self.connection() as connection:
            connection.execute(statement)

    def check(self) -> None:
        """Raise TransientError while Postgres is away."""
        self.execute("SELECT 1")

    def close(self) -> None:
        """Close all connections."""
        self._pool.close()


@contextmanager
def translated() -> Iterator[None]:
    """Turn errors that pass by themselves into TransientError."""
    try:
        yield
    except (
        psycopg.OperationalError,  # away, shutting down, out of disk or connections, deadlock
        psycopg.InterfaceError,
        PoolTimeout,
        errors.TransactionRollback,
        errors.InsufficientResources,
    ) as error:
        raise TransientError(f"Postgres is away: {error}") from error
