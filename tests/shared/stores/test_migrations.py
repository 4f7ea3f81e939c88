"""A database of an old version: its ticks are read back unchanged after the migration."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor, as_completed
from importlib import resources

import psycopg
import pytest
from psycopg import Connection

from shared.errors import TransientError
from shared.stores import migrations
from shared.stores.applied import are_stored, not_aggregated
from shared.stores.postgres import Postgres
from shared.stores.segments import ticks_of_event

HOUR_US = 3_600_000_000
BEFORE = """
CREATE TABLE tick_segments_20201231 PARTITION OF tick_segments
    FOR VALUES FROM ('1970-01-01') TO ('2030-01-01');
INSERT INTO tick_segments (day, event_id, part, instrument, source, price_scale, size_scale,
    tick_count, first_time_us, last_time_us, event_time_us, price, size, side, trade_id,
    trade_id_text, trade_id_kind, receive_time_us, sequence, venue)
VALUES ('1970-01-01', 'e1', 0, 'A', 'udp-1', 2, 0, 3, 3599999999, 3600000005,
    '{3599999999,3600000000,3600000005}', '{12345,-7,200}', '{0,5,10}', '{1,2,0}', '{7,0,0}',
    '{"",t-1,""}', '{1,2,0}', '{3600000001,3600000002,3600000003}', '{1,2,3}', 'V');
INSERT INTO applied_events (event_id, shards) VALUES ('e1', '{3}'), ('candles', NULL);
INSERT INTO first_ticks VALUES ('A', 3599999999);
"""


def migrate_before(connection: Connection, end: str) -> None:
    """Apply the migrations before `end`."""
    connection.execute(
        "CREATE TABLE schema_migrations"
        " (name text PRIMARY KEY, applied_at timestamptz NOT NULL DEFAULT now())"
    )
    for file in sorted(resources.files(migrations).iterdir(), key=lambda each: each.name):
        if file.name.endswith(".sql") and file.name < end:
            connection.execute(file.read_text().encode())
            connection.execute("INSERT INTO schema_migrations VALUES (%s)", (file.name,))


def test_old_segments_are_migrated_to_hours(empty_database: str) -> None:
    """Each column of an old segment is unchanged, and pending aggregation stays pending."""
    with psycopg.connect(empty_database) as connection:
        migrate_before(connection, "0020")
        connection.execute(BEFORE.encode())
    postgres = Postgres(empty_database, size=1)
    with postgres.connection() as connection:
        parts = list(ticks_of_event(connection, "e1"))
        rows = connection.execute(
            "SELECT event_time_us, price::text, size, side, trade_id, receive_time_us, sequence,"
            " venue, source FROM ticks ORDER BY sequence"
        ).fetchall()
        (waiting,) = not_aggregated(connection, 3, 2**60, 10)
        assert are_stored(connection, ["e1", "candles", "e2"]) == {"e1", "candles"}
    assert [len(each) for each in parts] == [1, 2]
    assert [each.text_at(0) for each in parts] == ["", "t-1"]
    assert rows == [
        (HOUR_US - 1, "123.45", 0, "buy", "7", HOUR_US + 1, 1, "V", "udp-1"),
        (HOUR_US, "-0.07", 5, "sell", "t-1", HOUR_US + 2, 2, "V", "udp-1"),
        (HOUR_US + 5, "2", 10, None, None, HOUR_US + 3, 3, "V", "udp-1"),
    ]
    assert waiting.event_id == "e1"
    assert (waiting.first_us, waiting.received_us) == (HOUR_US - 1, HOUR_US + 3)
    postgres.close()


def test_a_reader_delays_a_migration_and_nobody_else(
    empty_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While a reader holds a table that a migration changes, others read and write the table.

    Files before that one stay applied, and the migration pauses before it waits again.
    """
    with psycopg.connect(empty_database) as connection:
        migrate_before(connection, "0086")
    postgres = Postgres(empty_database, size=1)
    waiting = (
        "SELECT count(*) FROM pg_locks WHERE relation = 'alert_rules'::regclass AND NOT granted"
    )
    with (
        psycopg.connect(empty_database) as reader,
        psycopg.connect(empty_database, autocommit=True) as other,
        ThreadPoolExecutor() as pool,
    ):
        reader.execute("SELECT FROM alert_rules")
        other.execute("SET lock_timeout = '20s'")
        migration = pool.submit(postgres.check)
        deadline = time.monotonic() + 60
        while other.execute(waiting).fetchone() == (0,) and not migration.done():
            assert time.monotonic() < deadline, "the migration does not wait"
        try:
            other.execute("DELETE FROM alert_rules")
        finally:
            reader.rollback()
            with pytest.raises(TransientError, match=r"migration 0089_muted_rules\.sql waits"):
                migration.result(30)
        (applied,) = other.execute("SELECT max(name) FROM schema_migrations").fetchall()
        assert applied == ("0088_alert_claims.sql",)
        with pytest.raises(TransientError, match="a migration waits for a table"):
            postgres.check()  # though nobody holds it any more
    monkeypatch.setattr(postgres, "_migrates_again_s", 0)  # some seconds later
    postgres.check()
    postgres.close()


def test_the_threads_of_a_process_wait_for_one_migration(empty_database: str) -> None:
    """Of several threads one waits for the table, and the others have its pause too."""
    with psycopg.connect(empty_database) as connection:
        migrate_before(connection, "0086")
    postgres = Postgres(empty_database, size=4)
    with psycopg.connect(empty_database) as reader, ThreadPoolExecutor() as pool:
        reader.execute("SELECT FROM alert_rules")
        uses = [pool.submit(postgres.check) for _ in range(4)]
        reasons = [str(use.exception(60)) for use in uses]
        reader.rollback()
    assert sum("0089_muted_rules.sql waits" in reason for reason in reasons) == 1, reasons
    assert all("Postgres is away" in reason for reason in reasons)
    postgres.close()


def test_a_long_migration_of_another_process_keeps_one_thread(
    empty_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While one thread waits for another process to migrate, the next one is answered soon."""
    monkeypatch.setattr("shared.stores.postgres.CONNECT_TIMEOUT_S", 2)
    postgres = Postgres(empty_database, size=2)
    with psycopg.connect(empty_database) as another, ThreadPoolExecutor() as pool:
        another.execute("SELECT pg_advisory_xact_lock(%s)", (migrations._LOCK,))
        uses = [pool.submit(postgres.check) for _ in range(2)]
        try:
            refused = next(as_completed(uses, 30))
        finally:
            another.rollback()
        assert "a migration is under way" in str(refused.exception())
        uses.remove(refused)
        uses[0].result(60)
    postgres.close()


def test_a_conversion_that_is_refused_leaves_all_as_it_was(empty_database: str) -> None:
    """Ticks that cannot be converted refuse the upgrade, and the version before goes on."""
    with psycopg.connect(empty_database) as connection:
        migrate_before(connection, "0020")
        connection.execute(BEFORE.encode())
        connection.execute("UPDATE tick_segments SET price = NULL")
    postgres = Postgres(empty_database, size=1)
    with pytest.raises(psycopg.errors.RaiseException, match="beyond 64 bits"):
        postgres.check()
    postgres.close()
    with psycopg.connect(empty_database) as connection:
        assert connection.execute("SELECT event_id FROM tick_segments").fetchall() == [("e1",)]
        assert connection.execute("SELECT count(*) FROM applied_events").fetchone() == (2,)
