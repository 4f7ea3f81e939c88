"""The runbook's table of growth has every table of the database with its retention and setting."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import psycopg

from functions.persist.row_retention import RowRetention
from shared.runtime import metrics
from shared.runtime.settings import Environment

ROOT: Final = Path(__file__).parents[3]
DOCS: Final = ROOT / "docs"
_LAKE: Final = "tests/shared/lake"
_AGGREGATE: Final = "tests/functions/candle_aggregate"
ENDS: Final = {
    "tick_segments": f"{_LAKE}/test_lake.py::test_a_day_moves_to_the_lake_row_by_row",
    "stored_days": "tests/functions/persist/test_row_retention.py::"
    "test_counters_of_ticks_end_with_the_ticks",
    "unaggregated": f"{_AGGREGATE}/test_machine.py::test_every_candle_is_what_its_stored_ticks_say",
    "candles": f"{_LAKE}/test_candle_days.py::test_days_of_candles_move_to_the_lake",
    "pending_busts": "tests/functions/history_query/test_cold_busts.py::"
    "test_a_trade_that_is_nowhere_is_finally_a_reject",
    "lake_failures": f"{_LAKE}/test_rounds.py::"
    "test_a_store_that_is_away_ends_a_round_and_not_the_caller",
    "lake_pending_candles": f"{_LAKE}/test_cut_off.py::test_a_kill_while_candles_are_copied",
    "Redis: `{shard}:instruments`": f"{_AGGREGATE}/test_unused.py::"
    "test_unused_instruments_leave_by_term",
    "Redis: `{shard}:patterns:*`": "tests/functions/detect_pattern/test_unused.py::"
    "test_a_year_leaves_the_series_of_the_last_days",
    "Redis: `{shard}:block:*`, `{shard}:seen:*`": f"{_AGGREGATE}/test_evict.py::"
    "test_a_long_history_leaves_some_blocks_at_a_time",
    "live-feed: stream `KANDLE_LIVE_LATEST`, and memory": "tests/functions/live_feed/"
    "test_latest_term.py::test_a_year_leaves_the_channels_of_the_last_days",
    "the lake": f"{_LAKE}/test_lake.py::"
    "test_days_past_the_lakes_term_go_and_only_those_that_left_postgres",
    "stream `KANDLE_DEAD_LETTERS`": "tests/shared/runtime/test_dead_letters.py::"
    "test_retention_applies_to_an_existing_stream",
}
"""The tests of what has a term, besides the tables of RowRetention: test_row_retention.py has a
year's clock for each of them."""
_STAYS: Final = ("stay", "none:", "do not grow")
_TABLES: Final = (
    "SELECT relname FROM pg_class WHERE relkind IN ('r', 'p') AND NOT relispartition"
    " AND relnamespace = current_schema()::regnamespace"
)


def rows() -> list[list[str]]:
    """The cells of the table's rows."""
    text = (DOCS / "runbook.md").read_text().split("## What grows")[1]
    lines = [line for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines[2:]]


def names(cell: str) -> set[str]:
    return set(re.findall(r"`([a-z_]+)`", cell))


def settings(row: list[str]) -> set[str]:
    return set(re.findall(r"`(KEEP_\w+)`", row[3]))


def test_every_table_of_the_database_is_in_the_runbook_once(database: str) -> None:
    """The runbook has each table of the database once, so a migration must add its row."""
    with psycopg.connect(database) as connection:
        tables = {str(row[0]) for row in connection.execute(_TABLES)}
    listed = [name for row in rows() if "Redis" not in row[0] for name in names(row[0])]
    assert len(listed) == len(set(listed))
    assert set(listed) == tables


def test_each_retention_setting_is_documented() -> None:
    """A changed setting changes exactly the days of its tables, as the runbook lists them."""
    configured = (DOCS / "configuration.md").read_text()
    plain = RowRetention.read(Environment({})).days
    of_table = {name: settings(row) for row in rows() for name in names(row[0])}
    for setting in sorted(set().union(*map(settings, rows()))):
        assert f"| `{setting}` |" in configured, setting
        changed = RowRetention.read(Environment({setting: "12345"})).days
        assert {table for table in plain if changed[table] != plain[table]} == {
            table for table in plain if setting in of_table[table]
        }, setting
    assert all(of_table[table] for table in plain)


def test_each_row_names_an_existing_metric() -> None:
    """Each row names an existing metric, or says what else shows its growth."""
    declared = set(re.findall(r'"(kandle_\w+)"', Path(metrics.__file__).read_text()))
    for row in rows():
        assert len(row) == 5, row[0]
        for name in re.findall(r"`(kandle_[a-z_]+)", row[4]):
            assert name.removesuffix("_total") in declared, name
        assert row[4].strip(), row[0]


def test_each_retention_has_a_test() -> None:
    """Each retention has a test; a table without one is said to stay."""
    ends = [row[0] for row in rows() if not row[2].startswith(_STAYS)]
    by_clock = RowRetention.read(Environment({})).days
    others = {cell for cell in ends if not names(cell) & by_clock.keys()}
    assert {re.sub(r"^`(\w+)`$", r"\1", cell) for cell in others} == {*ENDS}
    for where in ENDS.values():
        path, _, test = where.partition("::")
        assert f"def {test}(" in (ROOT / path).read_text(), where
