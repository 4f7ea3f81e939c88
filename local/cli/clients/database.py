"""Postgres connections of commands, with actionable errors."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from local.cli.options.addresses import address
from local.cli.output.dead_letter_text import one_line
from local.errors import CliError

if TYPE_CHECKING:
    from pathlib import Path

    from psycopg import Connection

    from shared.stores.postgres import Postgres

CONNECT_TIMEOUT_S: Final = 5


@contextmanager
def database(url: str | None, data_dir: Path, *, autocommit: bool = False) -> Iterator[Connection]:
    """Yield a connection to the given database, or to the running instance's.

    Raises CliError: Postgres is unreachable, or the database is not Kandle's.
    """
    import psycopg

    url = address(url, "DATABASE_URL", data_dir)
    try:
        with psycopg.connect(
            url, autocommit=autocommit, connect_timeout=CONNECT_TIMEOUT_S, application_name="kandle"
        ) as connection:
            yield connection
    except psycopg.Error as error:
        reason = one_line(str(error), 300) or type(error).__name__
        if isinstance(error, psycopg.errors.UndefinedTable):
            raise CliError(f"Kandle has not used this database: {reason}") from None
        raise CliError(f"cannot use Postgres: {reason}; is the instance up?") from None


@contextmanager
def store_errors() -> Iterator[None]:
    """Turn a store that is away into CliError."""
    from shared.errors import TransientError

    try:
        yield
    except TransientError as error:
        raise CliError(f"{error}; is the instance up?") from None


@contextmanager
def postgres_pool(url: str | None, data_dir: Path) -> Iterator[Postgres]:
    """Yield connections for the lake's work. Raises CliError: a store is away."""
    from shared.stores.limits import MAINTENANCE
    from shared.stores.postgres import Postgres

    postgres = Postgres(address(url, "DATABASE_URL", data_dir), size=2, limits=MAINTENANCE)
    try:
        with store_errors():
            yield postgres
    finally:
        postgres.close()
