"""Which events are stored, and which stored tick events are not known to be in the candles yet."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from psycopg import Connection


class Stored(NamedTuple):
    """A stored event's ticks of one shard: when stored, received, and between which event times."""

    event_id: str
    stored_us: int
    received_us: int
    first_us: int
    last_us: int


_NOT_AGGREGATED: Final = """
    SELECT a.event_id, (extract(epoch FROM applied_at) * 1000000)::bigint,
           max(receive_time_us[1]), min(first_time_us), max(last_time_us)
    FROM applied_events a JOIN tick_segments USING (event_id)
    WHERE %s = ANY(shards)
      AND applied_at < timestamptz 'epoch' + %s * interval '1 microsecond'
    GROUP BY 1, 2 ORDER BY 2, 1 LIMIT %s
"""


def are_stored(connection: Connection, event_ids: Sequence[str]) -> set[str]:
    """Return those of the events that are stored."""
    rows = connection.execute(
        "SELECT event_id FROM applied_events WHERE event_id = ANY(%s)", (list(event_ids),)
    )
    return {row[0] for row in rows}


def not_aggregated(connection: Connection, shard: int, before_us: int, limit: int) -> list[Stored]:
    """Return a shard's events stored before then that are not marked aggregated, oldest first."""
    rows = connection.execute(
        _NOT_AGGREGATED, (shard, min(before_us, 4 * 10**15), limit)
    ).fetchall()
    return [Stored(*row) for row in rows]


def mark_aggregated(connection: Connection, shard: int, event_ids: Sequence[str]) -> None:
    """Record that a shard's candles have these events."""
    connection.execute(
        "UPDATE applied_events SET shards = array_remove(shards, %s::smallint)"
        " WHERE event_id = ANY(%s)",
        (shard, list(event_ids)),
    )


def are_aggregated(connection: Connection, shard: int, event_ids: Sequence[str]) -> set[str]:
    """Return those of the events that are stored, and in the shard's candles."""
    rows = connection.execute(
        "SELECT event_id FROM applied_events WHERE event_id = ANY(%s) AND NOT %s = ANY(shards)",
        (list(event_ids), shard),
    )
    return {row[0] for row in rows}


def reshard(connection: Connection, shards: int) -> None:
    """Let every event that is not aggregated be so in all of so many shards: SHARDS changed."""
    connection.execute(
        "UPDATE applied_events SET shards = ARRAY(SELECT generate_series(0, %s - 1))::smallint[]"
        " WHERE cardinality(shards) > 0",
        (shards,),
    )
