"""A test's database is like a new one, whoever used it before."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from threading import Event

import psycopg
import pytest

from tests.databases import Databases

_LOOKS = (
    "SELECT count(*) FROM aggregation",
    "SELECT count(*) FROM schema_migrations",
    "SELECT day::text FROM partition_days ORDER BY 1",
    "SELECT nextval('candle_epoch')",
    "SELECT nextval('commits')",  # migrations took some
)


def _seen(url: str) -> list[object]:
    with psycopg.connect(url) as connection:
        return [connection.execute(query.encode()).fetchall() for query in _LOOKS]


def _oid_and_lake(url: str) -> list[object]:
    with psycopg.connect(url) as connection:
        query = (
            "SELECT oid, name FROM pg_database, lake_identity WHERE datname = current_database()"
        )
        (row,) = connection.execute(query).fetchall()
        return list(row)


def test_a_used_database_is_taken_again_like_a_new_one(databases: Databases) -> None:
    """Rows and sequences are a new one's, the lake is another, and its last user is cut off."""
    url = databases.take()
    new, (oid, lake) = _seen(url), _oid_and_lake(url)
    with psycopg.connect(url) as connection:
        connection.execute("INSERT INTO aggregation (ladder, shards) VALUES ('1m', 2)")
        connection.execute("DELETE FROM partition_days")
    straggler = psycopg.connect(url)
    databases.release(url)
    again = databases.take()
    assert _seen(again) == new
    (oid_again, lake_again) = _oid_and_lake(again)
    assert oid_again == oid
    assert lake_again != lake
    with pytest.raises(psycopg.OperationalError):
        straggler.execute("SELECT 1")
    with pytest.raises(psycopg.OperationalError, match="does not exist"):
        psycopg.connect(url)


def test_what_still_writes_to_a_used_database_writes_nothing_to_the_next(
    databases: Databases,
) -> None:
    """A thread of an earlier test that connects again finds no database, or keeps its own."""
    url = databases.take()
    has_written, has_ended = Event(), Event()

    def write() -> None:
        while not has_ended.is_set():
            with suppress(psycopg.OperationalError), psycopg.connect(url) as connection:
                connection.execute(
                    "INSERT INTO aggregation (ladder, shards) VALUES ('1m', 2)"
                    " ON CONFLICT DO NOTHING"
                )
                has_written.set()

    with ThreadPoolExecutor(1) as late:
        writing = late.submit(write)
        assert has_written.wait(10)
        databases.release(url)
        again = databases.take()
        has_ended.set()
        writing.result()
    assert again != url
    assert _seen(again)[0] == [(0,)]


@pytest.mark.parametrize(
    "change",
    [
        "ALTER TABLE candles ADD COLUMN other text",
        "CREATE INDEX other ON candles (revision)",
        "SELECT make_partition('tick_segments', '2020-01-01')",
        "ANALYZE schema_migrations",
        "GRANT SELECT ON candles TO PUBLIC",
        "ALTER TABLE schema_migrations SET (fillfactor = 50)",
    ],
)
def test_a_database_with_another_schema_is_not_taken_again(
    databases: Databases, change: str
) -> None:
    """After a change of the schema, or with statistics, a database is used by no other test."""
    url = databases.take()
    oid, _ = _oid_and_lake(url)
    with psycopg.connect(url) as connection:
        connection.execute(change.encode())
    databases.release(url)
    assert _oid_and_lake(databases.take())[0] != oid
