"""Applied events: which are stored, and stored tick events not yet confirmed in candles."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Final, NamedTuple

from psycopg import Connection, sql
from psycopg.rows import class_row

from shared.market.bounds import EARLIEST_US, LATEST_US
from shared.stores.partitions import OLD, open_days
from shared.stores.segment_ranges import BETWEEN, bounds


class Stored(NamedTuple):
    """A stored event's ticks of one shard: when stored, received, and between which event times."""

    event_id: str
    commit_id: int
    stored_us: int
    received_us: int
    first_us: int
    last_us: int


_CLAIM: Final = "SELECT pg_advisory_xact_lock(hashtextextended(id, 0)) FROM unnest(%s::text[]) id"
_NOT_AGGREGATED: Final = """
    SELECT event_id, commit_id, (extract(epoch FROM stored_at) * 1000000)::bigint AS stored_us,
           received_us, first_us, last_us
    FROM unaggregated
    WHERE shard = %s AND stored_at >= timestamptz 'epoch' + %s * interval '1 microsecond'
        AND stored_at < timestamptz 'epoch' + %s * interval '1 microsecond'
    ORDER BY stored_at, event_id LIMIT %s
"""
_IN_SHARD: Final = sql.SQL(
    BETWEEN + " AND (shards <> %(shards)s OR %(shard)s BETWEEN first_shard AND last_shard)"
)
_AGGREGATED_BETWEEN: Final = sql.SQL("""
    SELECT DISTINCT id FROM tick_segments, unnest(event_ids) AS id
    WHERE {} AND NOT EXISTS (SELECT FROM unaggregated WHERE shard = %(shard)s AND event_id = id)
""").format(_IN_SHARD)
_LAST: Final = sql.SQL("SELECT max(last_time_us) FROM tick_segments WHERE {}").format(_IN_SHARD)


def claim(connection: Connection, event_ids: Sequence[str], commit_id: int) -> set[str]:
    """Record events as stored by this commit; return those that were not stored before.

    Another transaction that stores one of them waits until this one ends.
    """
    # In one order everywhere, so that two transactions cannot wait for each other.
    ordered = sorted(set(event_ids))
    connection.execute(_CLAIM, (ordered,))
    stored = are_stored(connection, ordered)
    new_ids = [each for each in ordered if each not in stored]
    if new_ids:
        today = datetime.now(UTC).date()
        day = today if today in open_days(connection, "applied_events", [today]) else OLD
        connection.execute(
            "INSERT INTO applied_events (event_id, day, commit_id)"
            " SELECT id, %s::date, %s FROM unnest(%s::text[]) AS id",
            (day, commit_id, new_ids),
        )
    return set(new_ids)


def are_stored(connection: Connection, event_ids: Sequence[str]) -> set[str]:
    """Return the events that are stored."""
    rows = connection.execute(
        "SELECT event_id FROM applied_events WHERE event_id = ANY(%s)", (list(event_ids),)
    )
    return {row[0] for row in rows}


def not_aggregated(
    connection: Connection, shard: int, before_us: int, limit: int, since_us: int = EARLIEST_US
) -> list[Stored]:
    """Return a shard's events stored in a time that are not marked aggregated, oldest first."""
    with connection.cursor(row_factory=class_row(Stored)) as cursor:
        until_us = min(before_us, LATEST_US)
        return cursor.execute(_NOT_AGGREGATED, (shard, since_us, until_us, limit)).fetchall()


def mark_aggregated(connection: Connection, shard: int, event_ids: Sequence[str]) -> None:
    """Record that a shard's candles have these events."""
    connection.execute(
        "DELETE FROM unaggregated WHERE shard = %s AND event_id = ANY(%s)", (shard, list(event_ids))
    )


def aggregated(
    connection: Connection, shards: Iterable[int], event_ids: Sequence[str]
) -> dict[str, set[int]]:
    """Return, for each stored event, the shards whose candles include it."""
    all_shards = set(shards)
    by_event = {event_id: set(all_shards) for event_id in are_stored(connection, event_ids)}
    rows = connection.execute(
        "SELECT event_id, shard FROM unaggregated WHERE event_id = ANY(%s)", (list(by_event),)
    )
    for event_id, shard in rows:
        by_event[event_id].discard(shard)
    return by_event


def aggregated_between(
    connection: Connection, shard: int, shards: int, from_us: int, to_us: int
) -> list[str]:
    """Return the events marked aggregated that have ticks of a shard in [from_us, to_us).

    Events of other shards, and of times near it, may be among them.
    """
    parameters = {**bounds(from_us, to_us), "shard": shard, "shards": shards}
    return [row[0] for row in connection.execute(_AGGREGATED_BETWEEN, parameters).fetchall()]


def last_tick_us(
    connection: Connection, shard: int, shards: int, from_us: int, until_us: int
) -> int | None:
    """Return a time from which on, up to `until_us`, a shard has no tick; None: from `from_us`."""
    if until_us < from_us:
        return None
    parameters = {**bounds(from_us, until_us + 1), "shard": shard, "shards": shards}
    row = connection.execute(_LAST, parameters).fetchone()
    last_us: int | None = row[0] if row else None
    return last_us


def reshard(connection: Connection, shards: int) -> None:
    """Mark every unaggregated event as such in all shards: SHARDS changed.

    Its time is that of all shards whose candles do not include it yet.
    """
    connection.execute("LOCK TABLE unaggregated IN EXCLUSIVE MODE")
    connection.execute(
        "INSERT INTO unaggregated"
        " SELECT n, event_id, commit_id, min(stored_at), max(received_us), min(first_us),"
        " max(last_us) FROM unaggregated, generate_series(0, %s - 1) AS n"
        " GROUP BY n, event_id, commit_id ON CONFLICT (shard, event_id) DO UPDATE"
        " SET first_us = excluded.first_us, last_us = excluded.last_us",
        (shards,),
    )
    connection.execute("DELETE FROM unaggregated WHERE shard >= %s", (shards,))
