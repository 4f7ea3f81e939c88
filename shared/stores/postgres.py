"""Postgres at the edge: a bounded pool, the schema, errors that say whether to try again."""

from __future__ import annotations

import math
import re
import select
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final, LiteralString, Self, TypeVar

import psycopg
from psycopg import Connection, IsolationLevel, errors
from psycopg.abc import PQGen
from psycopg.pq import TransactionStatus
from psycopg.pq.abc import PGconn
from psycopg_pool import ConnectionPool, PoolTimeout

from shared.errors import TransientError
from shared.stores.limits import INGEST, Limits
from shared.stores.migrations import migrate

CONNECT_TIMEOUT_S: Final = 5
ANSWER_WITHIN_S: Final = 30.0
"""Of one statement. An event that waits longer would be delivered again meanwhile."""
_PAUSE_S: Final = 5.0
"""Pause after a migration gave way, so that those who wait behind it have the table meanwhile."""
_JUST_S: Final = 0.25
_REFUSED_WAIT_S: Final = 1.0
"""Wait for the first connection once the server refused it: a probe soon learns why."""
_REFUSAL: Final = re.compile(
    r"authentication failed|pg_hba\.conf|(role|database) .* (does not exist|is not permitted)"
)
"""SQLSTATEs 28xxx and 3D000, which libpq does not tell of a connection that failed."""

R = TypeVar("R")


class BoundedConnection(Connection):
    """A connection that gives up on a server that does not answer.

    A server that hangs, or whose machine was suspended, still acknowledges what it is sent, so no
    setting of TCP notices it. A statement that gets no answer within `answer_within_s` (None: no
    bound) ends the connection, and its transaction with it.
    """

    answer_within_s: float | None = ANSWER_WITHIN_S
    answered_s = -math.inf
    """When the server answered last, by the monotonic clock."""

    @classmethod
    def connect(  # type: ignore[override]
        cls, conninfo: str = "", *, note: Callable[[str], None] | None = None, **kwargs: Any
    ) -> Self:
        """Connect. `note` gets the reason of a failure, which the pool only logs, or ""."""
        try:
            connection = super().connect(conninfo, **kwargs)
        except psycopg.OperationalError as error:
            if note is not None:
                note(str(error))
            raise
        if note is not None:
            note("")
        return connection

    def wait(self, gen: PQGen[R], interval: float = 0.1, timeout: float | None = None) -> R:
        """Wait for the server's answer. Raises OperationalError."""
        try:
            result = super().wait(
                gen, interval, self.answer_within_s if timeout is None else timeout
            )
        except errors.QueryCanceled:
            raise  # the server has answered
        except psycopg.OperationalError:
            if self.info.transaction_status is TransactionStatus.ACTIVE:
                self.close()  # its answer may still come, to nobody
            raise
        self.answered_s = time.monotonic()
        return result


class Postgres:
    """A pool of connections. The first use brings the schema up to date.

    `limits`: what the server allows it. `migrates` is False for a replica, which only follows.
    """

    def __init__(
        self, dsn: str, *, size: int = 4, limits: Limits = INGEST, migrates: bool = True
    ) -> None:
        # The server ends a statement before its client gives up.
        self._answer_within_s = ANSWER_WITHIN_S * max(1, limits.statement_ms / 25_000)
        self._pool = ConnectionPool(
            dsn,
            connection_class=BoundedConnection,
            min_size=1,
            max_size=size,
            timeout=CONNECT_TIMEOUT_S,
            reconnect_timeout=CONNECT_TIMEOUT_S,  # give up soon: the next use begins anew
            kwargs={
                "note": self._note,
                "connect_timeout": CONNECT_TIMEOUT_S,
                "application_name": "kandle",
                "options": limits.options,
                # A server that is gone without a word is noticed.
                "tcp_user_timeout": 15_000,
                "keepalives_idle": 10,
                "keepalives_interval": 5,
                "keepalives_count": 3,
            },
            check=_check,
            open=False,
        )
        self._migrated, self._migrates_again_s = not migrates, -math.inf
        self._migrating = threading.Lock()
        self._failure, self._has_connected = "", False

    def _note(self, failure: str) -> None:
        self._failure = failure
        self._has_connected |= not failure

    @contextmanager
    def connection(self, isolation: IsolationLevel | None = None) -> Iterator[Connection]:
        """Yield a connection in a transaction, committed at the end. Raises TransientError."""
        with translated(), self._named():
            self._pool.open()
            with self._pool.connection(self._patience_s()) as connection:
                if not self._migrated:
                    self._migrate_once(connection)
                connection.answer_within_s = self._answer_within_s
                if isolation is not None:
                    connection.isolation_level = isolation
                try:
                    yield connection
                    connection.commit()
                finally:
                    if isolation is not None:
                        connection.rollback()
                        connection.isolation_level = None

    def _migrate_once(self, connection: BoundedConnection) -> None:
        """Bring the schema up to date in one thread; others wait as long as for a connection."""
        if not self._migrating.acquire(timeout=CONNECT_TIMEOUT_S):
            raise errors.LockNotAvailable("a migration is under way")
        try:
            if not self._migrated:
                self._migrate(connection)
        finally:
            self._migrating.release()

    def _migrate(self, connection: BoundedConnection) -> None:
        if time.monotonic() < self._migrates_again_s:
            raise errors.LockNotAvailable("a migration waits for a table")
        connection.answer_within_s = None  # an index of many rows takes its time
        try:
            migrate(connection)
        except errors.LockNotAvailable:
            self._migrates_again_s = time.monotonic() + _PAUSE_S
            raise
        connection.commit()
        self._migrated = True

    def _patience_s(self) -> float:
        is_refused = _REFUSAL.search(self._failure) and not self._has_connected
        return _REFUSED_WAIT_S if is_refused else CONNECT_TIMEOUT_S

    @contextmanager
    def _named(self) -> Iterator[None]:
        """Name the reason why the pool has no connection."""
        try:
            yield
        except PoolTimeout as error:
            if not self._failure:
                raise
            setting = " (see DATABASE_URL)" if _REFUSAL.search(self._failure) else ""
            raise PoolTimeout(f"{error}: {self._failure}{setting}") from error

    @contextmanager
    def autocommit(self) -> Iterator[Connection]:
        """Yield a connection whose statements are transactions each. Raises TransientError."""
        with self.connection() as connection:
            connection.commit()
            connection.autocommit = True
            try:
                yield connection
            finally:
                if not connection.closed:
                    connection.autocommit = False

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


def _check(connection: BoundedConnection) -> None:
    """Raise OperationalError when a connection out of the pool does not answer soon.

    One that has just answered is asked only if the server has sent something: why it ends.
    """
    if time.monotonic() - connection.answered_s < _JUST_S and not _has_sent(connection.pgconn):
        return
    connection.answer_within_s = CONNECT_TIMEOUT_S
    ConnectionPool.check_connection(connection)


def _has_sent(pgconn: PGconn) -> bool:
    poll = select.poll()
    poll.register(pgconn.socket, select.POLLIN)
    return bool(poll.poll(0))


def try_lock(connection: Connection, name: str) -> bool:
    """Take an advisory lock until the transaction ends; return False while another holds it."""
    row = connection.execute("SELECT pg_try_advisory_xact_lock(hashtext(%s))", (name,)).fetchone()
    return bool(row and row[0])


@contextmanager
def translated() -> Iterator[None]:
    """Turn temporary errors into TransientError."""
    try:
        yield
    except (
        psycopg.OperationalError,  # away, shutting down, out of disk or connections, deadlock
        psycopg.InterfaceError,
        PoolTimeout,
        errors.TransactionRollback,
        errors.IdleInTransactionSessionTimeout,
        errors.InsufficientResources,
        errors.ReadOnlySqlTransaction,  # a standby that is not promoted yet
    ) as error:
        raise TransientError(f"Postgres is away: {error}") from error
