"""Which rows are read from Postgres and which from the lake: exact, decided at one instant.

The ticks of a cold day are in the lake, but for those of commits after the lake's position. Every
other day is whole in Postgres. Candles of a cold day may be in either; the higher revision counts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Final, LiteralString

from psycopg import Connection

from shared.errors import TransientError
from shared.lake.record import DAY_US, begin_us, day_of

HOT: Final = (
    "(date '1970-01-01' + floor(first_time_us / 86400000000.0)::int <> ALL(%(cold_days)s::date[])"
    " OR commit_id > %(position)s)"
)
"""A condition on `tick_segments`: what a plan reads from there. Takes `Plan.parameters`."""

_LATEST_US: Final = 250_000_000_000_000_000
_TICKS: Final = """
SELECT ARRAY(SELECT day FROM cold_days WHERE day BETWEEN %(first)s AND %(last)s ORDER BY day),
       (SELECT commit_id FROM lake_position),
       (SELECT metadata_location FROM iceberg_tables WHERE table_name = 'ticks')
"""
_CANDLES: Final = """
SELECT ARRAY(SELECT day FROM cold_candle_days
             WHERE day BETWEEN %(first)s AND %(last)s ORDER BY day),
       0::bigint,
       (SELECT metadata_location FROM iceberg_tables WHERE table_name = 'candles')
"""
_OLD_LAYOUT: Final = "SELECT to_regclass('lake_files') IS NOT NULL"


@dataclass(frozen=True, slots=True)
class Plan:
    """Ranges of time (us) that are read from the lake's table, as its metadata file says it is.

    `position`: of ticks in these ranges Postgres has those of commits after it.
    """

    cold: tuple[tuple[int, int], ...] = ()
    position: int = 0
    metadata: str = ""

    @property
    def is_hot(self) -> bool:
        """Whether Postgres has all of it."""
        return not self.cold

    @property
    def parameters(self) -> dict[str, Any]:
        """What HOT takes."""
        days = [day_of(us) for low, high in self.cold for us in range(low, high, DAY_US)]
        return {"cold_days": days, "position": self.position}


ALL_IN_POSTGRES: Final = Plan()
"""Reads all that Postgres has, whatever the lake has."""


def hold_partitions(connection: Connection) -> None:
    """Let no partition be dropped until the transaction ends.

    Before the first reading of a transaction with one snapshot for all, which would else believe in
    a partition that is gone.
    """
    connection.execute("LOCK TABLE ONLY tick_segments IN ACCESS SHARE MODE")


def plan_ticks(connection: Connection, from_us: int, to_us: int) -> Plan:
    """Plan the ticks in [from_us, to_us); it holds until the transaction ends."""
    hold_partitions(connection)
    return _plan(connection, _TICKS, from_us, to_us)


def plan_candles(connection: Connection, from_us: int, to_us: int) -> Plan:
    """Plan the candles that start in [from_us, to_us)."""
    return _plan(connection, _CANDLES, from_us, to_us)


def _plan(connection: Connection, statement: LiteralString, from_us: int, to_us: int) -> Plan:
    bounds = {"first": day_in_calendar(from_us), "last": day_in_calendar(to_us - 1)}
    row = connection.execute(statement, bounds).fetchone()
    assert row is not None
    days, position, metadata = row
    if not days:
        return ALL_IN_POSTGRES
    if connection.execute(_OLD_LAYOUT).fetchone() == (True,):
        raise TransientError("a lake of the old layout is to be taken over: kandle lake take-over")
    return Plan(tuple(_ranges(days, from_us, to_us)), position, metadata or "")


def _ranges(days: Sequence[date], from_us: int, to_us: int) -> list[tuple[int, int]]:
    """Return the days as ranges, those that follow each other as one."""
    found: list[tuple[int, int]] = []
    for day in days:
        low = begin_us(day)
        if found and found[-1][1] == low:
            found[-1] = found[-1][0], low + DAY_US
        else:
            found.append((low, low + DAY_US))
    return [(max(low, from_us), min(high, to_us)) for low, high in found]


def day_in_calendar(time_us: int) -> date:
    """Return the day, as far as the calendar goes."""
    return day_of(min(max(time_us, 0), _LATEST_US))
