"""Stored ticks of a range, from Postgres and the lake: what candles are checked against."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from typing import Final, LiteralString

from psycopg import Connection, sql
from psycopg.rows import args_row

from shared.candles.trades import Rows
from shared.lake.reading.cold import NO_LAKE, Cold
from shared.lake.reading.plan import Plan, plan_ticks
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
"""Approximate number of ticks fetched at once, over all instruments."""
_MOST_FETCHED: Final = 1_024
"""Most segments fetched at once."""

COARSE_US: Final = 60_000_000
"""An instrument's last tick is at most this long after its time in `first_ticks`."""


def ticks_of_range(
    connection: Connection, instrument: str, from_us: int, to_us: int, cold: Cold = NO_LAKE
) -> Iterator[Ticks]:
    """Yield an instrument's stored ticks with event times in [from_us, to_us), wherever they are.

    Batches of one entry, unordered, duplicates included. Raises TransientError.
    """
    plan = plan_ticks(connection, from_us, to_us)
    yield from ticks_in_postgres(connection, instrument, from_us, to_us, plan)
    yield from cold.ticks(plan, instrument, from_us, to_us)


def ticks_in_postgres(
    connection: Connection, instrument: str, from_us: int, to_us: int, plan: Plan
) -> Iterator[Ticks]:
    """Yield the part of the plan that is in Postgres, run by run."""
    parameters = {**bounds(from_us, to_us), **plan.parameters, **named(instrument)}
    for segment, runs, keep in read(connection, OF_RANGE, parameters, of_instrument(instrument)):
        for ticks in each_run(segment, runs, keep):
            yield from inside(ticks, from_us, to_us)


def last_tick_us(connection: Connection, instrument: str, cold: Cold = NO_LAKE) -> int | None:
    """Return the event time of an instrument's last stored tick."""
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
    """Return a time less than COARSE_US before an instrument's last stored tick.

    None if no tick is stored.
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
    """Yield batches of the plan's segments: first time, last time (us) and rows.

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
    # A server-side cursor, since the reader may stop early.
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
    """Return the ORDER BY of a plan's segments by a time column, descending if `newest`.

    If most ticks are in the lake, few segments are left; `+ 0` then keeps Postgres from scanning
    the index in this order, so that it looks them up by commit.
    """
    order = "{} DESC" if newest else "{}"
    return sql.SQL(order).format(sql.SQL(column if plan.is_hot else column + " + 0"))
