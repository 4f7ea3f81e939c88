"""Work of the lake that fails: since when, in how many rounds in a row, and why."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Final, NamedTuple

from psycopg import Connection

from shared.runtime import metrics

BEGUN: Final = "it did not end"
"""The result of work until it ends."""
BUSY: Final = "another process works on the lake"
"""The result of work that was left to another process; it says nothing of failures."""
_LONGEST: Final = 500
_FAILED: Final = """
INSERT INTO lake_failures (work, reason) VALUES (%s, %s)
ON CONFLICT (work) DO UPDATE SET rounds = lake_failures.rounds + 1, reason = excluded.reason
"""


class Failure(NamedTuple):
    """A piece of work that failed in the last `rounds` rounds that tried it, for `reason`."""

    work: str
    since: datetime
    rounds: int
    reason: str


def record(connection: Connection, results: Mapping[str, str]) -> None:
    """Record a round: the reason of each piece of work that failed, BUSY, or "" if it was done."""
    succeeded = [work for work, reason in results.items() if not reason]
    connection.execute("DELETE FROM lake_failures WHERE work = ANY(%s)", (succeeded,))
    for work, reason in results.items():
        if reason and reason != BUSY:
            connection.execute(_FAILED, (work, reason[:_LONGEST]))


def failures(connection: Connection) -> list[Failure]:
    """Return current failures, oldest first."""
    rows = connection.execute(
        "SELECT work, since, rounds, reason FROM lake_failures ORDER BY since"
    )
    return [Failure(*row) for row in rows]


def measure(connection: Connection) -> None:
    """Set the metric."""
    metrics.LAKE_FAILED_ROUNDS.clear()
    for each in failures(connection):
        metrics.LAKE_FAILED_ROUNDS.labels(each.work).set(each.rounds)
