"""Stored ticks read back as columns: the truth that candles are checked against."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import fields
from typing import Any, Final, LiteralString

import numpy as np
from numpy.typing import NDArray
from psycopg import Connection, sql
from psycopg.rows import class_row

from shared.candles.trades import Rows
from shared.lake.cold import NO_LAKE, Cold
from shared.lake.plan import Plan, plan_ticks
from shared.market.instruments import Market
from shared.market.shards import shards_of
from shared.stores.segment_columns import Columns, Runs, Segment
from shared.stores.segment_ranges import BETWEEN, OF_RANGE, bounds, named
from shared.wire.instrument_table import Entries
from shared.wire.ticks import Ticks

COARSE_US: Final = 60_000_000
"""The last tick of an instrument is not more than that after the time in `first_ticks`."""
FETCH: Final = 64
"""Segments held at once."""

_SELECT: Final[LiteralString] = "SELECT {} FROM tick_segments WHERE {} ORDER BY {}"
_NAMES: Final = sql.SQL(", ").join(sql.Identifier(field.name) for field in fields(Segment))

_ANY_OF: Final[LiteralString] = (
    " AND EXISTS (SELECT FROM unnest(%(names)s::text[]) AS n"
    " WHERE strpos(E'\\n' || tick_segments.names || E'\\n', E'\\n' || n || E'\\n') > 0)"
)

Choice = Callable[[Segment, Runs], NDArray[np.bool_]]
"""Which runs of a segment are meant."""


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
    for segment, runs, keep in _read(connection, OF_RANGE, parameters, _of(instrument)):
        for ticks in _each_run(segment, runs, keep):
            yield from _inside(ticks, from_us, to_us)


def ticks_of_instruments(
    connection: Connection, names: Sequence[str], from_us: int, to_us: int
) -> Iterator[Ticks]:
    """Yield the ticks of instruments in [from_us, to_us) that Postgres has, in one scan.

    Batches of one source and many entries.
    """
    wanted = set(names)
    parameters = {**bounds(from_us, to_us), "names": list(names)}

    def of_instruments(segment: Segment, runs: Runs) -> NDArray[np.bool_]:
        chosen: NDArray[np.bool_] = np.array([name in wanted for name in segment.instruments])
        return chosen[runs.name]

    for segment, runs, keep in _read(connection, BETWEEN + _ANY_OF, parameters, of_instruments):
        for ticks in _each_event(segment, runs, keep):
            yield from _inside(ticks, from_us, to_us)


def ticks_of_event(connection: Connection, event_id: str) -> Iterator[Ticks]:
    """Yield the ticks that an event stored: of one source, of many entries."""
    yield from _of_events(connection, [event_id], lambda _, runs: np.ones(len(runs.name), bool))


def ticks_of_shard_events(
    connection: Connection, shard: int, shards: int, event_ids: Sequence[str]
) -> Iterator[Ticks]:
    """Yield what events stored of one of so many shards: each batch of one source."""

    def of_shard(segment: Segment, runs: Runs) -> NDArray[np.bool_]:
        if segment.shards == shards and segment.first_shard == segment.last_shard:
            return np.full(len(runs.name), segment.first_shard == shard)
        chosen: NDArray[np.bool_] = shards_of(segment.instruments, shards) == shard
        return chosen[runs.name]

    yield from _of_events(connection, event_ids, of_shard)


def ticks_of_commits(connection: Connection, after: int, until: int) -> Iterator[tuple[int, Ticks]]:
    """Yield the ticks of the commits in (after, until], ascending, each batch of one source."""
    parameters = {"after": after, "until": until}
    condition = "commit_id > %(after)s AND commit_id <= %(until)s"
    for segment, runs, keep in _read(
        connection, condition, parameters, lambda _, runs: np.ones(len(runs.name), bool)
    ):
        for ticks in _each_event(segment, runs, keep):
            yield segment.commit_id, ticks


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
    statement = sql.SQL(_SELECT).format(_NAMES, sql.SQL(OF_RANGE), order)
    choose = _of(instrument)
    # A cursor of the server's, since who reads may end early.
    with connection.cursor("segments", row_factory=class_row(Segment)) as cursor:
        cursor.itersize = FETCH
        cursor.execute(statement, parameters, binary=True)
        for segment in cursor:
            runs = segment.runs()
            keep = choose(segment, runs)
            yield segment.first_time_us, segment.last_time_us, _rows(segment, runs, keep)


def in_order(column: LiteralString, plan: Plan, *, newest: bool) -> sql.Composed:
    """Return the order of a plan's segments by a column of time, descending if `newest`.

    Where the lake has the most they are few, to be found by their commits and not in this order.
    """
    order = "{} DESC" if newest else "{}"
    return sql.SQL(order).format(sql.SQL(column if plan.is_hot else column + " + 0"))


def _rows(segment: Segment, runs: Runs, keep: NDArray[np.bool_]) -> Rows:
    """Return the chosen runs as rows, each with its own scales, source and venue."""
    some = runs.at(keep)
    found = segment.columns().at(np.repeat(keep, runs.ticks))
    n = len(found.event_time_us)
    texts = found.trade_id_text

    def each(values: Any) -> Any:
        return np.repeat(values, some.ticks)

    return Rows(
        found.event_time_us,
        found.price,
        found.size,
        each(some.price_scale.astype(np.int16)),
        each(some.size_scale.astype(np.int16)),
        found.side,
        found.trade_id_kind,
        found.trade_id,
        np.full(n, "", dtype=object) if texts is None else texts,
        found.receive_time_us,
        each(np.array(segment.sources, dtype=object)[some.event]),
        found.sequence,
        found.flags,
        each(np.array(segment.venues, dtype=object)[some.venue]),
    )


def _of_events(connection: Connection, event_ids: Sequence[str], choose: Choice) -> Iterator[Ticks]:
    wanted = set(event_ids)

    def of_events(segment: Segment, runs: Runs) -> NDArray[np.bool_]:
        of_event = np.array([each in wanted for each in segment.event_ids])
        chosen: NDArray[np.bool_] = of_event[runs.event] & choose(segment, runs)
        return chosen

    condition = (
        "commit_id IN (SELECT commit_id FROM applied_events WHERE event_id = ANY(%(events)s))"
        " AND event_ids && %(events)s"
    )
    for found in _read(connection, condition, {"events": list(event_ids)}, of_events):
        yield from _each_event(*found)


def _of(instrument: str) -> Choice:
    def of_instrument(segment: Segment, runs: Runs) -> NDArray[np.bool_]:
        place = segment.instruments.index(instrument)
        return np.equal(runs.name, place)

    return of_instrument


def _read(
    connection: Connection, condition: LiteralString, parameters: dict[str, Any], choose: Choice
) -> Iterator[tuple[Segment, Runs, NDArray[np.bool_]]]:
    """Yield segments, and of each its runs and which of them are meant, some at least."""
    statement = sql.SQL(_SELECT).format(_NAMES, sql.SQL(condition), sql.SQL("commit_id, part"))
    with connection.cursor(binary=True, row_factory=class_row(Segment)) as cursor:
        for segment in cursor.stream(statement, parameters, size=FETCH):
            runs = segment.runs()
            keep = choose(segment, runs)
            if keep.any():
                yield segment, runs, keep


def _each_event(segment: Segment, runs: Runs, keep: NDArray[np.bool_]) -> Iterator[Ticks]:
    """Yield the chosen runs of each event."""
    columns = segment.columns()
    for event in np.unique(runs.event[keep]).tolist():
        yield _ticks(segment, runs, columns, np.flatnonzero(keep & (runs.event == event)))


def _each_run(segment: Segment, runs: Runs, keep: NDArray[np.bool_]) -> Iterator[Ticks]:
    columns = segment.columns()
    for run in np.flatnonzero(keep):
        yield _ticks(segment, runs, columns, np.array([run]))


def _ticks(segment: Segment, runs: Runs, columns: Columns, chosen: NDArray[np.intp]) -> Ticks:
    """Return runs of one event."""
    some = runs.at(chosen)
    starts = (np.cumsum(runs.ticks) - runs.ticks)[chosen]
    rows = np.repeat(starts - (np.cumsum(some.ticks) - some.ticks), some.ticks)
    rows += np.arange(len(rows))
    found = columns.at(rows)
    names = segment.instruments
    venues = [segment.venues[each] for each in some.venue.tolist()]
    return Ticks(
        source=segment.sources[int(some.event[0])],
        entries=Entries(
            tuple(names[each] for each in some.name.tolist()),
            some.price_scale,
            some.size_scale,
            some.ticks,
            tuple(Market(venue, "") for venue in venues) if any(venues) else (),
            np.array([len(chosen)], dtype=np.int64),
        ),
        **{field.name: getattr(found, field.name) for field in fields(Columns)},
    )


def _inside(ticks: Ticks, from_us: int, to_us: int) -> Iterator[Ticks]:
    inside = (ticks.event_time_us >= from_us) & (ticks.event_time_us < to_us)
    if inside.all():
        yield ticks
    elif inside.any():
        yield ticks.select(inside)
