"""Retention of informational rows: the term of each kind, and the deletion of older ones."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, LiteralString, NamedTuple

from psycopg import Connection, sql

from shared.lake.maintenance import failures
from shared.market.timestamps import EPOCH
from shared.market.utc_days import DAY_US, day_of
from shared.runtime import metrics
from shared.runtime.settings import Environment
from shared.stores.partitions import days_before, drop_day, make_ahead
from shared.stores.postgres import Postgres

_ROWS_AT_ONCE: Final = 5_000
_BUDGET_S: Final = 30.0
"""Of a round; the next one goes on."""


class Term(NamedTuple):
    """Rows of a table for which `past` holds are deleted; it is given `until_us` and `until`.

    `setting`: how many days they stay, `days` by default; 0: forever.
    """

    table: LiteralString
    setting: str
    days: int
    past: LiteralString


_NOT_OF_ONCE: Final[LiteralString] = (
    "NOT EXISTS (SELECT FROM alert_rules r"
    " WHERE r.id = alerts.rule_id AND r.once AND r.removed_at IS NULL)"
)
"""The alert of a one-time rule records that it fired; it stays as long as the rule does."""

ROWS: Final = (
    Term("rejects", "KEEP_REJECTS_D", 90, "receive_time_us < %(until_us)s"),
    Term("alerts", "KEEP_ALERTS_D", 365, f"stored_at < %(until)s AND {_NOT_OF_ONCE}"),
    Term("alert_deliveries", "KEEP_APPLIED_D", 15, "delivered_at < %(until)s"),
    Term("patterns", "KEEP_PATTERNS_D", 365, "stored_at < %(until)s"),
    Term("gaps", "KEEP_GAPS_D", 365, "state = 'filled' AND judged AND changed_us < %(until_us)s"),
    Term("feeds", "KEEP_FEEDS_D", 90, "reported_us < %(until_us)s"),
    Term("repairs", "KEEP_REPAIRS_D", 30, "requested_at < %(until)s"),
    Term("corrected_trades", "KEEP_REPAIRS_D", 30, "receive_time_us < %(until_us)s"),
    Term("latest_quotes", "KEEP_LATEST_QUOTES_D", 90, "receive_time_us < %(until_us)s"),
)
_OLD_DAYS: Final[LiteralString] = "day = '0001-01-01'"
DAYS: Final = (
    Term("applied_events", "KEEP_APPLIED_D", 15, f"{_OLD_DAYS} AND applied_at < %(until)s"),
    Term("quote_segments", "KEEP_QUOTES_D", 0, f"{_OLD_DAYS} AND last_time_us < %(until_us)s"),
)
"""Tables whose days go whole; rows are deleted from their partition of old days."""

_MOST: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class RowRetention:
    """Days by table; 0: forever."""

    days: Mapping[str, int]

    @classmethod
    def read(cls, env: Environment) -> RowRetention:
        """Read the settings; `env.check` reports bad ones."""
        terms = (*ROWS, *DAYS)
        return cls({each.table: env.integer(each.setting, each.days, 0, _MOST) for each in terms})


def maintain(postgres: Postgres, terms: RowRetention, now_us: int) -> None:
    """Create partitions ahead, and drop rows past their term. Raises TransientError."""
    make_ahead(postgres)
    until_s = time.monotonic() + _BUDGET_S
    for term in ROWS:
        if days := terms.days[term.table]:
            deleted = _delete(postgres, term, now_us - days * DAY_US, until_s)
            metrics.ROWS_ENDED.labels(term.table).inc(deleted)
    for term in DAYS:
        if days := terms.days[term.table]:
            until_us = now_us - days * DAY_US
            with postgres.connection() as connection:
                past_days = days_before(connection, term.table, day_of(until_us))
            for day in past_days:
                drop_day(postgres, term.table, day, _always)
            deleted = _delete(postgres, term, until_us, until_s)
            metrics.ROWS_ENDED.labels(term.table).inc(deleted)
    _end_counters(postgres)
    _measure(postgres)


def deletion(term: Term) -> sql.Composed:
    """Return the statement that deletes some rows past their term."""
    return sql.SQL(
        "DELETE FROM {table} WHERE ctid = ANY(ARRAY("
        "SELECT ctid FROM {table} WHERE {past} LIMIT {most}))"
    ).format(
        table=sql.Identifier(term.table),
        past=sql.SQL(term.past),
        most=sql.Literal(_ROWS_AT_ONCE),
    )


def _delete(postgres: Postgres, term: Term, until_us: int, until_s: float) -> int:
    """Delete in batches, to keep transactions short."""
    statement = deletion(term)
    until = EPOCH + timedelta(microseconds=until_us)
    deleted = 0
    while time.monotonic() < until_s:
        with postgres.connection() as connection:
            count = connection.execute(statement, {"until_us": until_us, "until": until}).rowcount
        deleted += count
        if count < _ROWS_AT_ONCE:
            break
    return deleted


def _end_counters(postgres: Postgres) -> None:
    """Delete the counters of days without a tick in Postgres."""
    with postgres.connection() as connection:
        connection.execute(
            "DELETE FROM stored_days AS c WHERE day = ANY(ARRAY(SELECT day FROM cold_days))"
            " AND stored_at < now() - interval '1 day' AND NOT EXISTS"
            " (SELECT FROM tick_segments AS s WHERE s.commit_id = c.commit_id OFFSET 0)"
        )


def _measure(postgres: Postgres) -> None:
    with postgres.connection() as connection:
        rows = connection.execute(
            "SELECT coalesce(parent.relname, c.relname), sum(pg_total_relation_size(c.oid))"
            " FROM pg_class AS c LEFT JOIN pg_inherits AS i ON i.inhrelid = c.oid"
            " LEFT JOIN pg_class AS parent ON parent.oid = i.inhparent"
            " WHERE c.relkind = 'r' AND c.relnamespace = current_schema()::regnamespace GROUP BY 1"
        ).fetchall()
        failures.measure(connection)
    for table, size in rows:
        metrics.TABLE_BYTES.labels(table).set(float(size))


def _always(connection: Connection, partition: sql.Identifier) -> bool:
    return True
