"""Databases of tests: cloned from a template, and emptied for a later test."""

from __future__ import annotations

import itertools
from collections.abc import Collection
from contextlib import closing, suppress
from typing import Any, Final, LiteralString

import psycopg
from psycopg import Connection, sql

from shared.stores.postgres import Postgres

_EVER_FILLED: Final[LiteralString] = """
    SELECT relname FROM pg_class WHERE relkind = 'r'
    AND relnamespace = 'public'::regnamespace AND pg_relation_size(oid) > 0
"""
_SCHEMA: Final[LiteralString] = """
    SELECT md5(string_agg(part, ';' ORDER BY part)) FROM (
        SELECT (attrelid, xmin, ctid)::text FROM pg_attribute WHERE attrelid >= 16384
        UNION ALL SELECT (oid, xmin, ctid)::text FROM pg_constraint WHERE oid >= 16384
        UNION ALL SELECT (oid, xmin, ctid)::text FROM pg_proc WHERE oid >= 16384
        UNION ALL SELECT (oid, xmin, ctid)::text FROM pg_trigger
        UNION ALL SELECT starelid::text FROM pg_statistic WHERE starelid >= 16384
        UNION ALL SELECT oid::text FROM pg_class WHERE oid >= 16384 AND relkind = 'r'
            AND pg_relation_size(oid) > 1000000
        UNION ALL SELECT (oid, relacl, reloptions)::text FROM pg_class WHERE oid >= 16384
    ) AS parts (part)
"""
"""It differs after a change of tables, indexes, functions or statistics, and with a large table."""
_CUT_OFF: Final[LiteralString] = """
    SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = %s
"""


def filled(connection: Connection[Any]) -> set[str]:
    """Return the tables that have rows; one whose rows were deleted keeps its size."""
    exists = sql.SQL("SELECT {} WHERE EXISTS (SELECT FROM {})")
    parts = [
        exists.format(sql.Literal(name), sql.Identifier(name))
        for (name,) in connection.execute(_EVER_FILLED)
    ]
    if not parts:
        return set()
    return {name for (name,) in connection.execute(sql.SQL(" UNION ALL ").join(parts))}


def empty(connection: Connection[Any], tables: Collection[str]) -> None:
    """Delete all rows of these tables, a fraction of what it costs to truncate small ones."""
    delete = sql.SQL("DELETE FROM {}")
    connection.execute(sql.SQL("; ").join(delete.format(sql.Identifier(each)) for each in tables))


class Databases:
    """Databases with the schema, and the rows of one that was just migrated.

    A name is used once, so that what is left of an earlier test finds no database. One whose
    schema was changed is not used again.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._numbers = itertools.count()
        self._used: list[str] = []
        template = self.create()
        with closing(Postgres(template, size=1)) as postgres:
            postgres.check()
        with psycopg.connect(template) as connection:
            self._rows = {name: _rows(connection, name) for name in filled(connection)}
            self._sequences = _sequences(connection)
            self._schema = connection.execute(_SCHEMA).fetchone()
        self._template = _name(template)

    def create(self, template: str = "template1") -> str:
        """Create a database, by default without a schema; return its URL."""
        name = f"test_{next(self._numbers)}"
        self._control("CREATE DATABASE {} TEMPLATE {}", name, template)
        return self._named(name)

    def take(self) -> str:
        """Return the URL of a database with the schema."""
        while self._used:
            # what connects again at once keeps its database
            with suppress(psycopg.errors.ObjectInUse):
                url = self._renamed(self._used.pop())
                if self._is_renewed(url):
                    return url
        url = self.create(self._template)
        with psycopg.connect(url) as connection:
            _identify(connection, _name(url))
        return url

    def release(self, url: str) -> None:
        """Let a later test have the database."""
        self._used.append(url)

    def _renamed(self, url: str) -> str:
        """Rename a used database, so that nobody finds it by its old name."""
        name = f"test_{next(self._numbers)}"
        with psycopg.connect(self._url, autocommit=True) as connection:
            connection.execute(_CUT_OFF, (_name(url),))
        self._control("ALTER DATABASE {} RENAME TO {}", _name(url), name)
        return self._named(name)

    def _is_renewed(self, url: str) -> bool:
        """Make a used database like a new one; return False if it cannot be."""
        with psycopg.connect(url) as connection:
            if connection.execute(_SCHEMA).fetchone() != self._schema:
                return False
            changed = filled(connection) - self._rows.keys()
            changed |= {
                name for name, rows in self._rows.items() if _rows(connection, name) != rows
            }
            empty(connection, changed)
            insert = sql.SQL("INSERT INTO {0} SELECT (unnest(%s::{0}[])).*")
            for name in changed & self._rows.keys():
                connection.execute(insert.format(sql.Identifier(name)), (self._rows[name],))
            connection.cursor().executemany("SELECT setval(%s, %s, %s)", self._sequences)
            connection.execute("SELECT pg_stat_reset()")  # what its tables have gone through
            _identify(connection, _name(url))
        return True

    def _control(self, statement: LiteralString, *names: str) -> None:
        with psycopg.connect(self._url, autocommit=True) as connection:
            connection.execute(sql.SQL(statement).format(*map(sql.Identifier, names)))

    def _named(self, name: str) -> str:
        return f"{self._url.rpartition('/')[0]}/{name}"


def _identify(connection: Connection[Any], database: str) -> None:
    """Give each database a lake of its own."""
    connection.execute("UPDATE lake_identity SET name = left(md5(%s), 8)", (database,))


def _name(url: str) -> str:
    return url.rpartition("/")[2]


def _rows(connection: Connection[Any], table: str) -> list[str]:
    query = sql.SQL("SELECT {0}::text FROM {0} ORDER BY 1").format(sql.Identifier(table))
    return [text for (text,) in connection.execute(query)]


def _sequences(connection: Connection[Any]) -> list[tuple[str, int, bool]]:
    """Return each sequence with its value, and whether that was given out."""
    query = sql.SQL("SELECT last_value, is_called FROM {}")
    return [
        (name, *connection.execute(query.format(sql.Identifier(name))).fetchall()[0])
        for (name,) in connection.execute("SELECT seqrelid::regclass::text FROM pg_sequence")
    ]
