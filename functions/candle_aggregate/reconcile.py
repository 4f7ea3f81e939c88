"""Postgres and Redis agree: what is stored is applied, and Postgres knows that it is.

A marker in Redis has no end until its event is recorded as aggregated in Postgres; then it expires.
So an event without a marker is either new, or Postgres knows it; which of the two must be asked
only of events so old that their marker may have expired, such as a dead letter replayed days later.

An event is recorded as aggregated only once everything that waited to be emitted when it was
applied has been, and the trades that it repeated have been compared: what Redis alone knows is not
to be lost with it.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from typing import Final

from psycopg import Connection

from functions.candle_aggregate.apply import TickEvent, apply_events
from functions.candle_aggregate.merge import Applied
from functions.candle_aggregate.repeats import compare
from functions.candle_aggregate.rules import Rules
from functions.candle_aggregate.store import Store
from shared import metrics
from shared.kernel import CandleKey, partial_candles, rolled_up
from shared.lake.cold import NO_LAKE, Cold
from shared.state import APPLIED, COMPARED, REPEATED
from shared.stores.applied import are_aggregated, mark_aggregated, not_aggregated
from shared.stores.postgres import Postgres, try_lock
from shared.stores.segments import ticks_of_shard_events
from shared.ticks import Ticks, joined

log = logging.getLogger(__name__)

GRACE_US: Final = 30_000_000
"""A younger event is probably still on its way."""
EVENTS_AT_ONCE: Final = 5_000
APPLIED_AT_ONCE: Final = 200
"""So that the clock event is answered in time; the next one goes on."""


def reconcile(
    store: Store,
    postgres: Postgres,
    rules: Rules,
    epoch: int,
    now_us: int,
    cold: Cold = NO_LAKE,
) -> list[Applied]:
    """Apply stored tick events past the grace that have no marker; return what each changed.

    Then record those that are in the candles as aggregated and let their markers expire. One
    holder at a time. Raises TransientError.
    """
    changes: list[Applied] = []
    with postgres.connection() as connection:
        if not try_lock(connection, f"kandle reconcile {store.keys.shard}"):
            return []
        shard = store.keys.shard
        events = not_aggregated(connection, shard, now_us - GRACE_US, EVENTS_AT_ONCE)
        ids = [event.event_id for event in events]
        # What waits is read after the markers: an event that has one has all that it made waiting.
        markers = store.markers(ids)
        since = store.pending_since(ids)
        waits_ms = store.unpublished_since_ms()
        late = store.late()
        certain: list[str] = []
        repeats: list[str] = []
        for stored, marker, applied_ms in zip(events, markers, since, strict=True):
            event_id = stored.event_id
            if marker is None:
                if len(changes) >= APPLIED_AT_ONCE:
                    continue
                batches = list(stored_of_shard(connection, event_id, rules.shards, shard))
                if not batches:
                    certain.append(event_id)
                    continue
                event = TickEvent(event_id, joined(batches))
                change, repeated = apply_events(store, rules, epoch, [event], now_us)
                if not repeated:
                    log.warning("event %s was stored but not applied: applied now", event_id)
                    metrics.EVENTS_RECONCILED.inc()
                    changes.append(change)
                continue  # it is certain when what it changed has been emitted
            if event_id in late or not _before(applied_ms, waits_ms):
                continue
            # What it repeated may be stored later than itself: after `keep_us` it is, or it will be
            # stored late, and be compared then.
            is_settled = marker == APPLIED or (
                applied_ms is None or now_us - applied_ms * 1000 >= rules.keep_us
            )
            # Then its candles may have left the state before it was stored.
            stored_late = is_settled and stored.stored_us - stored.received_us >= rules.keep_us // 2
            if stored_late:
                _queue_what_it_missed(store, connection, rules, event_id)
            if marker == REPEATED or stored_late or (is_settled and marker == COMPARED):
                repeats.append(event_id)
            if is_settled:
                certain.append(event_id)
        compare(connection, rules, repeats, cold)
        mark_aggregated(connection, shard, certain)
    store.note_compared(set(repeats) - set(certain))
    store.settle_markers(certain, rules.marker_ms)
    return changes


def sweep_markers(store: Store, postgres: Postgres, rules: Rules, now_us: int) -> int:
    """Let markers end that a crash kept from it after their events were recorded; return how many.

    Raises TransientError.
    """
    old = store.pending_before((now_us - rules.keep_us) // 1000, EVENTS_AT_ONCE)
    if not old:
        return 0
    with postgres.connection() as connection:
        known = list(are_aggregated(connection, store.keys.shard, old))
    store.settle_markers(known, rules.marker_ms)
    return len(known)


def aggregated_before(
    postgres: Postgres, rules: Rules, shard: int, events: Sequence[TickEvent], now_us: int
) -> list[str]:
    """Return those of the events that Postgres knows to be in the shard's candles.

    Only old ones are looked up: the marker of a younger one cannot have expired; and those that a
    client may have posted again, since they are received anew each time.
    """
    half_life_us = rules.marker_ms * 1000 // 2
    old = [
        event.id
        for event in events
        if event.may_repeat or now_us - event.received_us > half_life_us
    ]
    if not old:
        return []
    with postgres.connection() as connection:
        return list(are_aggregated(connection, shard, old))


def stored_of_shard(
    connection: Connection, event_id: str, shards: int, shard: int
) -> Iterator[Ticks]:
    """Yield what an event stored of a shard's instruments, an entry each. Raises TransientError."""
    for ticks in ticks_of_shard_events(connection, shard, shards, [event_id]):
        yield from ticks.by_entry()


def _before(applied_ms: float | None, waits_ms: float | None) -> bool:
    """Tell whether an event was applied before everything that waits to be emitted."""
    return applied_ms is None or waits_ms is None or applied_ms < waits_ms


def _queue_what_it_missed(
    store: Store, connection: Connection, rules: Rules, event_id: str
) -> None:
    """Queue for repair the candles of an event that was stored long after it was received.

    It was applied long before it was stored. Meanwhile a repair may have recomputed its candles
    without it, under a revision that outranks them. What is still live has it.
    """
    keys: set[CandleKey] = set()
    for ticks in stored_of_shard(connection, event_id, rules.shards, store.keys.shard):
        keys |= rolled_up(partial_candles(ticks, rules.ladder[0]), rules.ladder).keys()
    names = {key: store.keys.candle(*key) for key in sorted(keys)}
    read = store.read(list(names.values()))
    connection.cursor().executemany(
        "INSERT INTO repairs (instrument, timeframe, start_us, event_id)"
        " VALUES (%s, %s, %s, %s) ON CONFLICT DO NOTHING",
        [(*key, event_id) for key, name in names.items() if read[name].value is None],
    )
