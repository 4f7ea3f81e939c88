"""Which ticks are read from Postgres and which from the lake: exact, decided at one instant.

A day whose partition was dropped is cold: its ticks are in the files that count, and what was
stored of it since is in Postgres as long as it is pending. Every other day is whole in Postgres.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any, Final

from psycopg import Connection

from shared.lake.manifest import LakeFile, files_of_ids
from shared.lake.places import TICKS, day_of

HOT: Final = (
    "(day <> ALL(%(cold_days)s::date[]) OR (day, event_id, part) IN (SELECT * FROM"
    " unnest(%(pending_days)s::date[], %(pending_events)s::text[], %(pending_parts)s::smallint[])))"
)
"""A condition on `tick_segments`: what the plan reads from there. Takes `TickPlan.parameters`."""

_ALL_HOT: Final[dict[str, Any]] = {
    "cold_days": [],
    "pending_days": [],
    "pending_events": [],
    "pending_parts": [],
}
_COLD: Final = "SELECT FROM cold_days WHERE day BETWEEN %(first)s AND %(last)s LIMIT 1"
_PLAN: Final = """
WITH cold AS (
    SELECT day FROM cold_days WHERE day BETWEEN %(first)s AND %(last)s
), pending AS (
    SELECT day, event_id, part FROM lake_pending_ticks JOIN cold USING (day)
    WHERE instrument = %(instrument)s
), files AS (
    SELECT id FROM lake_files
    WHERE superseded_at IS NULL AND bucket = %(bucket)s AND instrument = %(instrument)s
      AND timeframe = '' AND from_us < %(to_us)s AND to_us > %(from_us)s
      AND max_time_us >= %(from_us)s AND min_time_us < %(to_us)s
      AND date '1970-01-01' + floor(from_us / 86400000000.0)::int IN (SELECT day FROM cold)
)
SELECT ARRAY(SELECT day FROM cold), ARRAY(SELECT id FROM files),
       ARRAY(SELECT day FROM pending ORDER BY event_id, part, day),
       ARRAY(SELECT event_id FROM pending ORDER BY event_id, part, day),
       ARRAY(SELECT part FROM pending ORDER BY event_id, part, day)
"""


@dataclass(frozen=True, slots=True)
class TickPlan:
    """What to read of an instrument's ticks. `files` ascend by time."""

    files: list[LakeFile]
    parameters: dict[str, Any]

    @property
    def is_hot(self) -> bool:
        """Whether Postgres has all of it."""
        return not self.parameters["cold_days"]


def all_in_postgres() -> TickPlan:
    """Return the plan that reads all that Postgres has, whatever the lake has."""
    return TickPlan([], dict(_ALL_HOT))


def hold_partitions(connection: Connection) -> None:
    """Let no partition be dropped until the transaction ends.

    Before the first reading of a transaction with one snapshot for all, which would else believe in
    a partition that is gone.
    """
    connection.execute("LOCK TABLE ONLY tick_segments IN ACCESS SHARE MODE")


def plan_ticks(connection: Connection, instrument: str, from_us: int, to_us: int) -> TickPlan:
    """Plan the ticks in [from_us, to_us); it holds until the transaction ends."""
    hold_partitions(connection)
    days = {"first": _day(from_us), "last": _day(to_us)}
    cold = connection.execute(_COLD, days).fetchone()
    if cold is None:  # and none becomes cold while the partitions are held
        return all_in_postgres()
    row = connection.execute(
        _PLAN,
        {
            "bucket": TICKS,
            "instrument": instrument,
            "from_us": from_us,
            "to_us": to_us,
            **days,
        },
    ).fetchone()
    assert row is not None
    cold_days, files, pending_days, events, parts = row
    return TickPlan(
        files_of_ids(connection, files) if files else [],
        {
            "cold_days": cold_days,
            "pending_days": pending_days,
            "pending_events": events,
            "pending_parts": parts,
        },
    )


def _day(time_us: int) -> date:
    """Return the day, as far as the calendar goes."""
    return day_of(min(max(time_us, 0), 250_000_000_000_000_000))
