"""Segments in Postgres read back as columns: of instruments, of events, of commits."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import fields
from typing import Any, Final, LiteralString

import numpy as np
from numpy.typing import NDArray
from psycopg import Connection, sql
from psycopg.rows import class_row

from shared.market.instruments import Market
from shared.market.shards import shards_of
from shared.stores.segment_columns import Columns, Runs, Segment
from shared.stores.segment_ranges import BETWEEN, bounds, named
from shared.wire.instrument_table import Entries
from shared.wire.ticks import Ticks

FETCH: Final = 64
"""Segments held at once."""

SELECT: Final[LiteralString] = "SELECT {} FROM tick_segments WHERE {} ORDER BY {}"
NAMES: Final = sql.SQL(", ").join(sql.Identifier(field.name) for field in fields(Segment))

_ANY_OF: Final[LiteralString] = (
    " AND EXISTS (SELECT FROM unnest(%(names)s::text[], %(hashes)s::bigint[]) AS n (name, hash)"
    " WHERE CASE WHEN mod(hash, shards) BETWEEN first_shard AND last_shard"
    " THEN strpos(E'\\n' || names || E'\\n', E'\\n' || name || E'\\n') > 0 END)"
)
"""Segments that have any of the instruments; names are searched in matching shards only."""

Choice = Callable[[Segment, Runs], NDArray[np.bool_]]
"""Selects runs of a segment."""


def ticks_of_instruments(
    connection: Connection, names: Sequence[str], from_us: int, to_us: int
) -> Iterator[Ticks]:
    """Yield the ticks of instruments in [from_us, to_us) that Postgres has, in one scan.

    Batches of one source and many entries.
    """
    name_set = set(names)
    hashes = [named(name)["hash"] for name in names]
    parameters = {**bounds(from_us, to_us), "names": list(names), "hashes": hashes}

    def of_instruments(segment: Segment, runs: Runs) -> NDArray[np.bool_]:
        chosen: NDArray[np.bool_] = np.array([name in name_set for name in segment.instruments])
        return chosen[runs.name]

    for segment, runs, keep in read(connection, BETWEEN + _ANY_OF, parameters, of_instruments):
        for _, ticks in each_event(segment, runs, keep):
            yield from inside(ticks, from_us, to_us)


def ticks_of_event(connection: Connection, event_id: str) -> Iterator[Ticks]:
    """Yield the ticks that an event stored: of one source, of many entries."""
    for _, ticks in _of_events(connection, [event_id], lambda _, r: np.ones(len(r.name), bool)):
        yield ticks


def ticks_of_shard_events(
    connection: Connection, shard: int, shards: int, event_ids: Sequence[str]
) -> Iterator[tuple[str, Ticks]]:
    """Yield the ticks of events in one shard, each batch with its event id."""

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
    for segment, runs, keep in read(
        connection, condition, parameters, lambda _, runs: np.ones(len(runs.name), bool)
    ):
        for _, ticks in each_event(segment, runs, keep):
            yield segment.commit_id, ticks


def _of_events(
    connection: Connection, event_ids: Sequence[str], choose: Choice
) -> Iterator[tuple[str, Ticks]]:
    id_set = set(event_ids)

    def of_events(segment: Segment, runs: Runs) -> NDArray[np.bool_]:
        of_event = np.array([each in id_set for each in segment.event_ids])
        chosen: NDArray[np.bool_] = of_event[runs.event] & choose(segment, runs)
        return chosen

    condition = (
        "commit_id IN (SELECT commit_id FROM applied_events WHERE event_id = ANY(%(events)s))"
        " AND event_ids && %(events)s"
    )
    for match in read(connection, condition, {"events": list(event_ids)}, of_events):
        yield from each_event(*match)


def of_instrument(instrument: str) -> Choice:
    """Return the choice of one instrument's runs."""

    def chosen(segment: Segment, runs: Runs) -> NDArray[np.bool_]:
        number = segment.instruments.index(instrument)
        return np.equal(runs.name, number)

    return chosen


def read(
    connection: Connection, condition: LiteralString, parameters: dict[str, Any], choose: Choice
) -> Iterator[tuple[Segment, Runs, NDArray[np.bool_]]]:
    """Yield each segment with its runs and a mask of the chosen ones; at least one is chosen."""
    statement = sql.SQL(SELECT).format(NAMES, sql.SQL(condition), sql.SQL("commit_id, part"))
    with (
        connection.transaction(),  # a reader that stops early cancels the statement
        connection.cursor(binary=True, row_factory=class_row(Segment)) as cursor,
    ):
        for segment in cursor.stream(statement, parameters, size=FETCH):
            runs = segment.runs()
            keep = choose(segment, runs)
            if keep.any():
                yield segment, runs, keep


def each_event(
    segment: Segment, runs: Runs, keep: NDArray[np.bool_]
) -> Iterator[tuple[str, Ticks]]:
    """Yield the chosen runs of each event, with its id."""
    columns = segment.columns()
    for event in np.unique(runs.event[keep]).tolist():
        run_numbers = np.flatnonzero(keep & (runs.event == event))
        yield segment.event_ids[event], _ticks(segment, runs, columns, run_numbers)


def each_run(segment: Segment, runs: Runs, keep: NDArray[np.bool_]) -> Iterator[Ticks]:
    """Yield each chosen run as a batch of one entry."""
    columns = segment.columns()
    for run in np.flatnonzero(keep):
        yield _ticks(segment, runs, columns, np.array([run]))


def _ticks(segment: Segment, runs: Runs, columns: Columns, chosen: NDArray[np.intp]) -> Ticks:
    """Return runs of one event."""
    chosen_runs = runs.at(chosen)
    starts = (np.cumsum(runs.ticks) - runs.ticks)[chosen]
    rows = np.repeat(starts - (np.cumsum(chosen_runs.ticks) - chosen_runs.ticks), chosen_runs.ticks)
    rows += np.arange(len(rows))
    values = columns.at(rows)
    names = segment.instruments
    venues = [segment.venues[each] for each in chosen_runs.venue.tolist()]
    return Ticks(
        source=segment.sources[int(chosen_runs.event[0])],
        entries=Entries(
            tuple(names[each] for each in chosen_runs.name.tolist()),
            chosen_runs.price_scale,
            chosen_runs.size_scale,
            chosen_runs.ticks,
            tuple(Market(venue, "") for venue in venues) if any(venues) else (),
            np.array([len(chosen)], dtype=np.int64),
        ),
        **{field.name: getattr(values, field.name) for field in fields(Columns)},
    )


def inside(ticks: Ticks, from_us: int, to_us: int) -> Iterator[Ticks]:
    """Yield the ticks with event times in [from_us, to_us), if any."""
    within = (ticks.event_time_us >= from_us) & (ticks.event_time_us < to_us)
    if within.all():
        yield ticks
    elif within.any():
        yield ticks.select(within)
