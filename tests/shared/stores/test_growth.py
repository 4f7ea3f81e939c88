"""The runbook's table of what grows: every table of the database, every term and its setting."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import psycopg

from functions.persist.row_retention import RowRetention
from shared.runtime import metrics
from shared.runtime.settings import Environment

DOCS: Final = Path(__file__).parents[3] / "docs"
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
    """A migration that makes one says what becomes of its rows."""
    with psycopg.connect(database) as connection:
        tables = {str(row[0]) for row in connection.execute(_TABLES)}
    listed = [name for row in rows() if "Redis" not in row[0] for name in names(row[0])]
    assert len(listed) == len(set(listed))
    assert set(listed) == tables


def test_each_term_of_rows_stands_there_with_its_setting() -> None:
    """As persist reads it: the setting changed, the table's days are others; no other does that."""
    configured = (DOCS / "configuration.md").read_text()
    plain = RowRetention.from_env(Environment({})).days
    of_table = {name: settings(row) for row in rows() for name in names(row[0])}
    for setting in sorted(set().union(*map(settings, rows()))):
        assert f"| `{setting}` |" in configured, setting
        changed = RowRetention.from_env(Environment({setting: "12345"})).days
        assert {table for table in plain if changed[table] != plain[table]} == {
            table for table in plain if setting in of_table[table]
        }, setting
    assert all(of_table[table] for table in plain)


def test_each_row_names_a_metric_that_there_is() -> None:
    """By its name in shared/runtime/metrics.py, or says what else shows it."""
    declared = set(re.findall(r'"(kandle_\w+)"', Path(metrics.__file__).read_text()))
    for row in rows():
        assert len(row) == 5, row[0]
        for name in re.findall(r"`(kandle_[a-z_]+)", row[4]):
            assert name.removesuffix("_total") in declared, name
        assert row[4].strip(), row[0]
