"""Stored ticks of a range, from Postgres and the lake: what candles are checked against."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from typing import Final, LiteralString

from psycopg import Connection, sql
from psycopg.rows import args_row

from shared.candles.trades import Rows
from shared.lake.cold import NO_LAKE, Cold
from shared.lake.plan import Plan, plan_ticks
from shared.stores.segment_batches import MOST_TICKS, batches, rows_of_instrument
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
)
from shared.wire.ticks import Ticks

_FETCHED_TICKS: Final = 2 * MOST_TICKS
"""Ticks of all instruments that are fetched at once, about."""
_MOST_FETCHED: Final = 1_024
"""Segments that are fetched at once, however small they are."""

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
    last_us = stored_last_us(connection, instrument)
    if last_us is None:
        return None
    span = last_us, last_us + COARSE_US
    plan = plan_ticks(connection, *span)
    for _, until_us, rows in rows_of_range(connection, instrument, *span, plan, newest=True):
        if until_us <= last_us:
            break
        last_us = max(last_us, int(rows.time_us.max()))
    return max(
        [last_us, *(int(rows.time_us.max()) for _, _, rows in cold.rows(plan, instrument, *span))]
    )


def stored_last_us(connection: Connection, instrument: str) -> int | None:
    """Return a time; the last tick that was stored of an instrument is less than COARSE_US after.

    None where none was stored.
    """
    row = connection.execute(
        "SELECT last_time_us FROM first_ticks WHERE instrument = %s", (instrument,)
    ).fetchone()
    return None if row is None else int(row[0])


def rows_of_range(
    connection: Connection,
    instrument: str,
    from_us: int,
    to_us: int,
    plan: Plan,
    *,
    newest: bool,
) -> Generator[tuple[int, int, Rows]]:
    """Yield of some segments of the plan at a time first and last time (us), and the rows.

    Ascending by the first time, or descending by the last one if `newest`.
    """
    parameters = {**bounds(from_us, to_us), **plan.parameters, **named(instrument)}
    order = in_order("last_time_us" if newest else "first_time_us", plan, newest=newest)
    statement = sql.SQL(SELECT).format(NAMES, sql.SQL(OF_RANGE), order)
    if plan.is_small:
        with connection.cursor(binary=True, row_factory=args_row(Segment)) as all_at_once:
            fetched = all_at_once.execute(statement, parameters).fetchall()
        yield from _batches(fetched, instrument)
        return
    # A cursor of the server's, since who reads may end early.
    with connection.cursor("segments", row_factory=args_row(Segment)) as cursor:
        cursor.execute(statement, parameters, binary=True)
        size = FETCH
        while fetched := cursor.fetchmany(size):
            ticks = sum(each.tick_count for each in fetched)
            size = min(max(_FETCHED_TICKS * len(fetched) // ticks, 1), _MOST_FETCHED)
            yield from _batches(fetched, instrument)


def _batches(segments: Sequence[Segment], instrument: str) -> Iterator[tuple[int, int, Rows]]:
    for batch in batches(segments):
        first_us = min(each.first_time_us for each in batch)
        last_us = max(each.last_time_us for each in batch)
        yield first_us, last_us, rows_of_instrument(batch, instrument)


def in_order(column: LiteralString, plan: Plan, *, newest: bool) -> sql.Composed:
    """Return the order of a plan's segments by a column of time, descending if `newest`.

    Where the lake has the most they are few, to be found by their commits and not in this order.
    """
    order = "{} DESC" if newest else "{}"
    return sql.SQL(order).format(sql.SQL(column if plan.is_hot else column + " + 0"))
