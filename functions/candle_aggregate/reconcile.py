"""Postgres and Redis agree: what is stored is applied, and Postgres knows that it is.

A marker in Redis has no end until its event is recorded as aggregated in Postgres; then it expires.
So an event without a marker is either new, or Postgres knows it; which of the two must be asked
only of events so old that their marker may have expired, such as a dead letter replayed days later.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Final

from psycopg import Connection

from functions.candle_aggregate.apply import Applied, Rules, TickEvent, apply_events
from functions.candle_aggregate.store import Store
from shared import metrics
from shared.stores.postgres import Postgres, try_lock
from shared.stores.segments import ticks_of_event
from shared.ticks import joined

log = logging.getLogger(__name__)

GRACE_US: Final = 30_000_000
"""A younger event is probably still on its way."""
OVERLAP_US: Final = 90_000_000
"""A transaction's time is that of its start: it may become visible so much later."""
EVENTS_AT_ONCE: Final = 5_000
APPLIED_AT_ONCE: Final = 200
"""So that the clock event is answered in time; the next one goes on."""


def reconcile(
    store: Store, postgres: Postgres, rules: Rules, epoch: int, now_us: int
) -> list[Applied]:
    """Apply stored tick events past the grace that have no marker; return what each changed.

    Then record all of them as aggregated and let their markers expire. One holder at a time; goes
    on from where the last one ended. Raises TransientError.
    """
    changes: list[Applied] = []
    with postgres.connection() as connection:
        if not try_lock(connection, f"kandle reconcile {store.keys.shard}"):
            return []
        since = store.reconciled_us()
        events = _stored_events(connection, store.keys.shard, max(0, since - OVERLAP_US))
        marked = store.are_applied([event_id for event_id, _ in events])
        until = since
        certain: list[str] = []
        for (event_id, stored_us), is_marked in zip(events, marked, strict=True):
            if len(changes) >= APPLIED_AT_ONCE:
                break
            if not is_marked:
                event = TickEvent(event_id, joined(list(ticks_of_event(connection, event_id))))
                change, repeated = apply_events(store, rules, epoch, [event], now_us)
                if not repeated:
                    log.warning("event %s was stored but not applied: applied now", event_id)
                    metrics.EVENTS_RECONCILED.inc()
                    changes.append(change)
            certain.append(event_id)
            until = max(until, stored_us)
        connection.execute(
            "UPDATE applied_events SET aggregated = true WHERE event_id = ANY(%s)", (certain,)
        )
    store.expire_markers(certain, rules.marker_ms)
    store.set_reconciled_us(until)
    return changes


def aggregated_before(
    postgres: Postgres, rules: Rules, events: Sequence[TickEvent], now_us: int
) -> list[str]:
    """Return those of the events that Postgres knows to be in the candles.

    Only old ones are looked up: the marker of a younger one cannot have expired.
    """
    half_life_us = rules.marker_ms * 1000 // 2
    old = [event.id for event in events if now_us - event.received_us > half_life_us]
    if not old:
        return []
    with postgres.connection() as connection:
        rows = connection.execute(
            "SELECT event_id FROM applied_events WHERE aggregated AND event_id = ANY(%s)", (old,)
        )
        return [row[0] for row in rows.fetchall()]


def _stored_events(connection: Connection, shard: int, since_us: int) -> list[tuple[str, int]]:
    rows = connection.execute(
        "SELECT event_id, (extract(epoch FROM applied_at) * 1000000)::bigint FROM applied_events"
        " WHERE shard = %s AND NOT aggregated"
        " AND applied_at >= timestamptz 'epoch' + %s * interval '1 microsecond'"
        " AND applied_at < now() - %s * interval '1 microsecond'"
        " ORDER BY applied_at, event_id LIMIT %s",
        (shard, since_us, GRACE_US, EVENTS_AT_ONCE),
    )
    return rows.fetchall()
