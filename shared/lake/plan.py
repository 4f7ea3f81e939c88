"""Which ticks are read from Postgres and which from the lake: exact, decided at one instant.

A day whose partition was dropped is cold: its ticks are in the files that count, and what was
stored of it since is in Postgres until a file has it. Every other day is whole in Postgres.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any, Final

from psycopg import Connection

from shared.lake.manifest import LakeFile, files_of_ids
from shared.lake.places import TICKS, day_of

HOT: Final = (
    "(date '1970-01-01' + floor(first_time_us / 86400000000.0)::int <> ALL(%(cold_days)s::date[])"
    " OR commit_id > %(position)s)"
)
"""A condition on `tick_segments`: what the plan reads from there. Takes `TickPlan.parameters`."""

_ALL_HOT: Final[dict[str, Any]] = {"cold_days": [], "position": 0}
_COLD: Final = "SELECT FROM cold_days WHERE day BETWEEN %(first)s AND %(last)s LIMIT 1"
_PLAN: Final = """
WITH cold AS (
    SELECT day FROM cold_days WHERE day BETWEEN %(first)s AND %(last)s
), files AS (
    SELECT id FROM lake_files
    WHERE superseded_at IS NULL AND bucket = %(bucket)s AND instrument = %(instrument)s
      AND timeframe = '' AND from_us < %(to_us)s AND to_us > %(from_us)s
      AND max_time_us >= %(from_us)s AND min_time_us < %(to_us)s
      AND date '1970-01-01' + floor(from_us / 86400000000.0)::int IN (SELECT day FROM cold)
)
SELECT ARRAY(SELECT day FROM cold), ARRAY(SELECT id FROM files),
       (SELECT commit_id FROM lake_position)
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
    days = {"first": day_in_calendar(from_us), "last": day_in_calendar(to_us)}
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
    cold_days, files, position = row
    return TickPlan(
        files_of_ids(connection, files) if files else [],
        {"cold_days": cold_days, "position": position},
    )


def day_in_calendar(time_us: int) -> date:
    """Return the day, as far as the calendar goes."""
    return day_of(min(max(time_us, 0), 250_000_000_000_000_000))
