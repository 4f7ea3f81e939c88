"""Stored events that were never applied are applied: Postgres and Redis agree again."""

from __future__ import annotations

import logging
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

    One holder at a time. Goes on from where the last one ended. Raises TransientError.
    """
    changes: list[Applied] = []
    with postgres.connection() as connection:
        if not try_lock(connection, f"kandle reconcile {store.keys.shard}"):
            return []
        since = store.reconciled_us()
        events = _stored_events(connection, store.keys.shard, max(0, since - OVERLAP_US))
        applied = store.are_applied([event_id for event_id, _ in events])
        until = since
        for (event_id, stored_us), is_applied in zip(events, applied, strict=True):
            if len(changes) >= APPLIED_AT_ONCE:
                break
            until = max(until, stored_us)
            if is_applied:
                continue
            ticks = joined(list(ticks_of_event(connection, event_id)))
            event = TickEvent(event_id, ticks)
            change, repeated = apply_events(store, rules, epoch, [event], now_us)
            if not repeated:
                log.warning("event %s was stored but not applied: applied now", event_id)
                metrics.EVENTS_RECONCILED.inc()
                changes.append(change)
        store.set_reconciled_us(until)
    return changes


def _stored_events(connection: Connection, shard: int, since_us: int) -> list[tuple[str, int]]:
    rows = connection.execute(
        "SELECT event_id, (extract(epoch FROM applied_at) * 1000000)::bigint FROM applied_events"
        " WHERE shard = %s"
        " AND applied_at >= timestamptz 'epoch' + %s * interval '1 microsecond'"
        " AND applied_at < now() - %s * interval '1 microsecond'"
        " ORDER BY applied_at, event_id LIMIT %s",
        (shard, since_us, GRACE_US, EVENTS_AT_ONCE),
    )
    return rows.fetchall()
