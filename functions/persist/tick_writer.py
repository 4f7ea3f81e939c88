"""Tick events as one commit: segments, aggregation backlog, and times of instruments."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import fields, replace
from datetime import date, timedelta
from typing import Any, Final

from psycopg import Connection, sql

from functions.persist import corrected_ids
from functions.persist.instrument_times import InstrumentTimes
from functions.persist.segments import Event, filled, segments
from shared.stores.applied import claim
from shared.stores.commits import next_commit
from shared.stores.partitions import OLD, open_days
from shared.stores.postgres import Postgres
from shared.stores.segment_columns import Segment

_DAY_US: Final = 86_400_000_000
_EPOCH: Final = date(1970, 1, 1)
_COLUMNS: Final = [field.name for field in fields(Segment)]
_TYPES: Final = [
    *("date", "int8", "int4", "int2", "int2", "int2", "int4", "int4", "int8", "int8"),
    *("text[]", "text[]", "text[]", "text", "numeric[]"),
    *["bytea"] * 13,
    *("text[]", "bytea", "bytea"),
]
_COPY: Final = sql.SQL("COPY tick_segments ({}) FROM STDIN (FORMAT BINARY)").format(
    sql.SQL(", ").join(map(sql.Identifier, _COLUMNS))
)
_COUNT: Final = (
    "INSERT INTO stored_days (commit_id, day, tick_count)"
    " SELECT %s, * FROM unnest(%s::date[], %s::int[])"
)
_UNAGGREGATED: Final = (
    "INSERT INTO unaggregated (commit_id, event_id, shard, received_us, first_us, last_us)"
    " SELECT %s, * FROM unnest(%s::text[], %s::smallint[], %s::bigint[], %s::bigint[],"
    " %s::bigint[]) ON CONFLICT DO NOTHING"
)


class TickWriter:
    """Writes tick events, each once in effect."""

    def __init__(self, postgres: Postgres) -> None:
        self._postgres = postgres
        self._times = InstrumentTimes()

    def __call__(self, events: Sequence[Event]) -> set[str]:
        """Write events in one transaction; return the ids of those that were not stored before.

        Raises TransientError.
        """
        unique = dict(events)
        rows = list(segments(list(unique.items())))
        with self._postgres.connection() as connection:
            commit_id = next_commit(connection)
            new_ids = claim(connection, list(unique), commit_id)
            new_events = [
                (event_id, unique[event_id]) for event_id in unique if event_id in new_ids
            ]
            if len(new_events) < len(unique):
                rows = list(segments(new_events))
            if cancels := corrected_ids.listed(connection, new_events):
                rows = list(segments([*new_events, *cancels]))
            copy_segments(connection, commit_id, rows)
            _await_aggregation(connection, commit_id, new_events)
            moved = self._times.move(connection, [ticks for _, ticks in new_events])
        self._times.remember(moved)
        return new_ids


def copy_segments(connection: Connection, commit_id: int, rows: Sequence[Segment]) -> None:
    """Store segments as those of a commit."""
    counts: Counter[date] = Counter()
    for row in rows:
        counts[_day(row)] += row.tick_count
    if not counts:
        return
    opened = open_days(connection, "tick_segments", counts)
    with connection.cursor() as cursor, cursor.copy(_COPY) as copy:
        copy.set_types(_TYPES)
        for row in rows:
            day = _day(row)
            stored = replace(row, day=day if day in opened else OLD, commit_id=commit_id)
            copy.write_row([getattr(stored, name) for name in _COLUMNS])
    connection.execute(_COUNT, (commit_id, list(counts), list(counts.values())))


def _day(row: Segment) -> date:
    """Return the UTC day that the segment lies in."""
    return _EPOCH + timedelta(days=row.first_time_us // _DAY_US)


def _await_aggregation(connection: Connection, commit_id: int, events: Sequence[Event]) -> None:
    """Record that no candle has the events yet, in the shards that candle-aggregate has now.

    Those of an event are others while SHARDS changes. The lock is held until the commit, so that a
    change comes before or after all of it.
    """
    connection.execute("LOCK TABLE unaggregated IN ROW EXCLUSIVE MODE")
    recorded = connection.execute("SELECT shards FROM aggregation").fetchone()
    rows = list(_by_shard(filled(events), None if recorded is None else recorded[0]))
    if rows:
        columns = [list(column) for column in zip(*rows, strict=True)]
        connection.execute(_UNAGGREGATED, (commit_id, *columns))


def _by_shard(events: Sequence[Event], shards: int | None) -> Iterator[tuple[Any, ...]]:
    for event_id, ticks in events:
        divided = ticks if shards in (None, ticks.shards) else ticks.sharded(shards)
        for shard, shard_ticks in divided.by_shard():
            times = shard_ticks.event_time_us
            yield (
                *(event_id, shard, int(shard_ticks.receive_time_us.max())),
                *(int(times.min()), int(times.max())),
            )
