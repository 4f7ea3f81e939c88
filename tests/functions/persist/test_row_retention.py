"""A simulated year over small tables: informative rows expire, and essential ones stay."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from functions.persist.row_retention import RowRetention, maintain
from shared.lake.maintenance.failures import record
from shared.runtime import metrics
from shared.runtime.settings import Environment
from shared.stores.limits import MAINTENANCE
from shared.stores.postgres import Postgres

DAY_US = 86_400_000_000
NOW = datetime.now(UTC).replace(hour=12, minute=0, second=0, microsecond=0)
NOW_US = int(NOW.timestamp()) * 1_000_000
YEAR = 365

ROWS = """
INSERT INTO rejects VALUES (%(id)s, 0, 'bad', '', '', %(us)s, 'u', 1);
INSERT INTO alerts (rule_id, start_us, instrument, timeframe, body, stored_at)
    VALUES (%(id)s, 0, 'A', '1m', '{}', %(at)s);
INSERT INTO patterns VALUES (%(id)s, 'A', '1m', 'hammer', 'candlestick', 1, 0.5, 'low', 1, 0,
    0, 1, 1, 1, 1, 1, false, 1, 0, '{}', %(at)s);
INSERT INTO gaps VALUES ('f', 'A', 'A', %(n)s, %(n)s, 0, 0, 'filled', 0, 0, %(us)s, true);
INSERT INTO gaps VALUES ('f', 'open', 'A', %(n)s, %(n)s, 0, 0, 'open', 0, 0, %(us)s, true);
INSERT INTO feeds VALUES ('f', %(id)s, 'A', 'u', 'up', 0, 0, NULL, 0, 0, 0, 0, NULL, '', %(us)s);
INSERT INTO repairs (instrument, timeframe, start_us, event_id, requested_at)
    VALUES ('A', '1m', 0, %(id)s, %(at)s);
INSERT INTO applied_events VALUES (%(id)s, '0001-01-01', 1, %(at)s);
INSERT INTO latest_quotes VALUES (%(id)s, 1, 2, 1, 1, %(us)s, -1, %(us)s, 'u', 1);
INSERT INTO alert_deliveries VALUES (%(id)s, 't', %(at)s);
INSERT INTO corrected_trades VALUES ('A', 'V', %(id)s, '', 0, %(us)s, 1, %(id)s, 0, 'u', 1, '');
INSERT INTO quote_segments VALUES ('0001-01-01', %(id)s, 0, 'A', 'u', 0, 0, 1, %(us)s, %(us)s,
    '{1}', '{1}', '{1}', '{1}', '{1}', '{1}', '{1}', '{1}');
INSERT INTO candles VALUES ('A', '1m', %(us)s, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0,
    true, false, true, 1);
"""


@pytest.fixture
def postgres(database: str) -> Iterator[Postgres]:
    pool = Postgres(database, size=2, limits=MAINTENANCE)
    yield pool
    pool.close()


def fill(database: str, days: int) -> None:
    """Insert a row of each kind for every day up to now."""
    with psycopg.connect(database) as connection:
        for n in range(days):
            values = {"n": n, "id": f"e{n}", "us": NOW_US - n * DAY_US, "at": NOW - timedelta(n)}
            for statement in ROWS.strip().split(";\n"):
                connection.execute(statement.rstrip(";").encode(), values)


def counts(database: str) -> dict[str, int]:
    """Rows of each table with retention, and of candles."""
    with psycopg.connect(database) as connection:
        return {
            table: connection.execute(f"SELECT FROM {table}".encode()).rowcount
            for table in (*RowRetention.read(Environment({})).days, "candles")
        }


def test_a_year_leaves_what_the_terms_say(postgres: Postgres, database: str) -> None:
    """After 100 days, and another year, tables have the rows within retention.

    A row a day up to the retention; open gaps stay, until the lake ends their ticks.
    """
    postgres.check()
    fill(database, 100)
    days = {"KEEP_ALERTS_D": "0", "KEEP_PATTERNS_D": "200", "KEEP_QUOTES_D": "5"}
    terms = RowRetention.read(Environment(days))
    maintain(postgres, terms, NOW_US)
    assert counts(database) == {
        "rejects": 91,
        "alerts": 100,
        "patterns": 100,
        "gaps": 200,
        "feeds": 91,
        "repairs": 31,
        "latest_quotes": 91,
        "applied_events": 16,
        "alert_deliveries": 16,
        "corrected_trades": 31,
        "quote_segments": 6,
        "candles": 100,
    }
    maintain(postgres, terms, NOW_US + YEAR * DAY_US)
    assert counts(database) == {
        "rejects": 0,
        "alerts": 100,
        "patterns": 0,
        "gaps": 101,
        "feeds": 0,
        "repairs": 0,
        "latest_quotes": 0,
        "applied_events": 0,
        "alert_deliveries": 0,
        "corrected_trades": 0,
        "quote_segments": 0,
        "candles": 100,
    }


def test_the_alert_of_a_rule_that_alerts_once_stays_while_it_is_in_force(
    postgres: Postgres, database: str
) -> None:
    """The alert of a rule that alerts once stays while the rule exists, or it would repeat."""
    postgres.check()
    fill(database, 3)
    with psycopg.connect(database) as connection:
        for id_, removed in (("e0", None), ("e1", NOW)):
            connection.execute(
                "INSERT INTO alert_rules (id, rule, instrument, timeframe, once, after_us,"
                " removed_at) VALUES (%s, 'A close > 1 once', 'A', '1m', true, 0, %s)",
                (id_, removed),
            )
    terms = RowRetention.read(Environment({"KEEP_ALERTS_D": "30"}))
    maintain(postgres, terms, NOW_US + YEAR * DAY_US)
    with psycopg.connect(database) as connection:
        assert connection.execute("SELECT rule_id FROM alerts").fetchall() == [("e0",)]


def test_days_of_events_and_quotes_go_whole(postgres: Postgres, database: str) -> None:
    """Days of events and quotes are dropped as partitions; coming ones are created."""
    parents = ("applied_events", "quote_segments", "tick_segments")
    terms = RowRetention.read(Environment({"KEEP_APPLIED_D": "10", "KEEP_QUOTES_D": "5"}))
    today = NOW.date()
    with postgres.connection() as connection:
        for parent in parents:
            for n in range(2, 21):
                day = today - timedelta(days=n)
                connection.execute("SELECT make_partition(%s, %s)", (parent, day))
    for _ in range(2):
        maintain(postgres, terms, NOW_US)
    with postgres.connection() as connection:
        found = {
            parent: connection.execute(
                "SELECT min(day), max(day), count(*) FROM partition_days WHERE parent = %s",
                (parent,),
            ).fetchone()
            for parent in parents
        }
    ahead = today + timedelta(days=3)
    assert found == {
        "applied_events": (today - timedelta(days=10), ahead, 14),
        "quote_segments": (today - timedelta(days=5), ahead, 9),
        "tick_segments": (today - timedelta(days=20), ahead, 24),
    }


def test_counters_of_ticks_end_with_the_ticks(postgres: Postgres, database: str) -> None:
    """Counters of a day end with its ticks, unless Postgres still has ticks of the commit."""
    postgres.check()
    with psycopg.connect(database) as connection:
        connection.execute(
            "INSERT INTO stored_days (commit_id, day, tick_count, stored_at) VALUES"
            " (2, '2020-01-01', 5, '2020-01-01'), (3, '2020-01-02', 5, '2020-01-02'),"
            " (4, '2020-01-01', 5, now())"
        )
        connection.execute("INSERT INTO cold_days (day) VALUES ('2020-01-01')")
    maintain(postgres, RowRetention.read(Environment({})), NOW_US)
    with psycopg.connect(database) as connection:
        rows = connection.execute("SELECT commit_id FROM stored_days ORDER BY 1").fetchall()
    assert rows == [(3,), (4,)]


def test_work_of_the_lake_that_fails_is_a_metric(postgres: Postgres, database: str) -> None:
    """Failed work of the lake is a metric by name, with the number of rounds until it succeeds."""
    postgres.check()

    def rounds() -> dict[str, float]:
        maintain(postgres, RowRetention.read(Environment({})), NOW_US)
        (family,) = metrics.LAKE_FAILED_ROUNDS.collect()
        return {each.labels["work"]: each.value for each in family.samples}

    with psycopg.connect(database, autocommit=True) as connection:
        for _ in range(2):
            record(connection, {"copy": "object storage is away", "retain": ""})
        assert rounds() == {"copy": 2}
        record(connection, {"copy": ""})
    assert rounds() == {}
