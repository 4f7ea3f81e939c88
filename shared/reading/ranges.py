"""Stored ticks of a range, from Postgres and the lake: what candles are checked against."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from typing import Final, LiteralString

from psycopg import Connection, sql
from psycopg.rows import class_row

from shared.candles.trades import Rows
from shared.lake.cold import NO_LAKE, Cold
from shared.lake.plan import Plan, plan_ticks
from shared.stores.segment_columns import Segment
from shared.stores.segment_ranges import OF_RANGE, bounds, named
from shared.stores.segments import (
    FETCH,
    NAMES,
    SELECT,
    each_run,
    inside,
    of_instrument,
    read,
    rows_of,
)
from shared.wire.ticks import Ticks

COARSE_US: Final = 60_000_000
"""The last tick of an instrument is not more than that after the time in `first_ticks`."""


def ticks_of_range(
    connection: Connection, instrument: str, from_us: int, to_us: int, cold: Cold = NO_LAKE
) -> Iterator[Ticks]:
    """Yield an instrument's stored ticks with event times in [from_us, to_us), wherever they are.

    Batches of one entry, in no order between them, repetitions included. Raises TransientError.
    """
    plan = plan_ticks(connection, from_us, to_us)
    yield from ticks_in_postgres(connection, instrument, from_us, to_us, plan)
    yield from cold.ticks(plan, instrument, from_us, to_us)


def ticks_in_postgres(
    connection: Connection, instrument: str, from_us: int, to_us: int, plan: Plan
) -> Iterator[Ticks]:
    """Yield the part of the plan that is in Postgres, a run each."""
    parameters = {**bounds(from_us, to_us), **plan.parameters, **named(instrument)}
    for segment, runs, keep in read(connection, OF_RANGE, parameters, of_instrument(instrument)):
        for ticks in each_run(segment, runs, keep):
            yield from inside(ticks, from_us, to_us)


def last_tick_us(connection: Connection, instrument: str, cold: Cold = NO_LAKE) -> int | None:
    """Return the event time of the last tick that was stored of an instrument."""
    row = connection.execute(
        "SELECT last_time_us FROM first_ticks WHERE instrument = %s", (instrument,)
    ).fetchone()
    if row is None:
        return None
    about_us = int(row[0])
    later = ticks_of_range(connection, instrument, about_us, about_us + COARSE_US, cold)
    return max([about_us, *(int(ticks.event_time_us.max()) for ticks in later)])


def rows_of_range(
    connection: Connection,
    instrument: str,
    from_us: int,
    to_us: int,
    plan: Plan,
    *,
    newest: bool,
) -> Generator[tuple[int, int, Rows]]:
    """Yield of each segment in the plan its first and last time (us) and the instrument's rows.

    Ascending by the first time, or descending by the last one if `newest`.
    """
    parameters = {**bounds(from_us, to_us), **plan.parameters, **named(instrument)}
    order = in_order("last_time_us" if newest else "first_time_us", plan, newest=newest)
    statement = sql.SQL(SELECT).format(NAMES, sql.SQL(OF_RANGE), order)
    choose = of_instrument(instrument)
    # A cursor of the server's, since who reads may end early.
    with connection.cursor("segments", row_factory=class_row(Segment)) as cursor:
        cursor.itersize = FETCH
        cursor.execute(statement, parameters, binary=True)
        for segment in cursor:
            runs = segment.runs()
            keep = choose(segment, runs)
            yield segment.first_time_us, segment.last_time_us, rows_of(segment, runs, keep)


def in_order(column: LiteralString, plan: Plan, *, newest: bool) -> sql.Composed:
    """Return the order of a plan's segments by a column of time, descending if `newest`.

    Where the lake has the most they are few, to be found by their commits and not in this order.
    """
    order = "{} DESC" if newest else "{}"
    return sql.SQL(order).format(sql.SQL(column if plan.is_hot else column + " + 0"))
