"""Reconciliation: apply stored events that the live state lacks, confirm them in Postgres.

An event is recorded as aggregated once all that it changed is safe in Postgres: every base candle
of its time is closed and stored at its revision, every closed longer candle is stored, and nothing
that it was late for waits to be emitted. So Redis may be lost at any moment: what is not recorded
is applied again, and what is recorded is in the stored candles.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

import numpy as np
from numpy.typing import NDArray
from psycopg import Connection

from functions.candle_aggregate.job_context import JobContext
from functions.candle_aggregate.maintenance.state_check import record
from functions.candle_aggregate.publish import LATE
from functions.candle_aggregate.rules import Rules
from functions.candle_aggregate.session import Session
from functions.candle_aggregate.steps.step import TickEvent
from shared.adapter.app import Emission
from shared.market.blocks import CLOSED, PRICED
from shared.market.bounds import LATEST_US
from shared.reading.stored_candles import stored_revisions
from shared.realtime.keys import Block
from shared.runtime import metrics
from shared.stores.applied import Stored, aggregated, mark_aggregated, not_aggregated
from shared.stores.postgres import Postgres, try_lock
from shared.stores.segments import ticks_of_shard_events
from shared.wire.late import decode_late
from shared.wire.ticks import Ticks, joined

log = logging.getLogger(__name__)

GRACE_US: Final = 30_000_000
"""A younger event is probably still on its way."""
AHEAD_US: Final = 300_000_000
"""One stored, or applied, so much later than now was so before the clock was set back."""
EVENTS_AT_ONCE: Final = 10_000
OLD_US: Final = 60_000_000
"""Age at which Postgres is asked whether a marker's event is recorded."""
APPLIED_AT_ONCE: Final = 200
"""So that one clock event does not hold up the next; it goes on."""
READ_AT_ONCE: Final = 20
"""Events in memory at once."""

_Closed = tuple[list[str], NDArray[np.int64]]
"""Instruments of a block whose candle is closed, and its revision."""


def reconcile(context: JobContext, shard: int) -> Iterator[Emission]:
    """Apply a shard's stored events that have no marker, and record those that are safe.

    One holder at a time. Raises TransientError.
    """
    engine, rules, now_us = context.engine, context.rules, context.now_us()
    with context.postgres.connection() as connection:
        if not try_lock(connection, f"kandle reconcile {shard}"):
            return
        # The events first: one that has its marker below has it in the blocks read there.
        events = not_aggregated(connection, shard, now_us - GRACE_US, EVENTS_AT_ONCE)
        events += not_aggregated(connection, shard, LATEST_US, EVENTS_AT_ONCE, now_us + AHEAD_US)
        state, blocks = engine.run(shard, partial(_look, events))
        unsafe = [*state.open, *_not_stored(connection, blocks)]
        intervals = [
            (block.start_us, rules.timeframe(block.timeframe).next_us(block.start_us))
            for block in unsafe
        ]
        certain: list[str] = []
        missing: list[str] = []
        for event, is_applied in zip(events, state.markers, strict=True):
            if not is_applied:
                missing.append(event.event_id)
            elif event.event_id not in state.late and not _touches(event, intervals):
                certain.append(event.event_id)
        if certain:
            mark_aggregated(connection, shard, certain)
        # And those that were recorded by one who was cut off before it said so here.
        recorded = aggregated(connection, [shard], state.old)
        certain += {each for each, shards in recorded.items() if shards} - set(certain)
        record(connection, shard, state.lineage, state.steps, engine.store.revision(now_us))

    def note_recorded(session: Session) -> None:
        session.record(certain)
        session.forget_recorded(now_us // 1000 - rules.marker_ms)

    engine.run(shard, note_recorded)
    for first in range(0, min(len(missing), APPLIED_AT_ONCE), READ_AT_ONCE):
        yield from _applied(context, shard, missing[first : first + READ_AT_ONCE])


def _applied(context: JobContext, shard: int, event_ids: Sequence[str]) -> Iterator[Emission]:
    """Apply what events stored of a shard, in as few steps as may be."""
    by_event: dict[str, list[Ticks]] = {event_id: [] for event_id in event_ids}
    with context.postgres.connection() as connection:
        stored = ticks_of_shard_events(connection, shard, context.rules.shards, event_ids)
        for event_id, ticks in stored:
            by_event[event_id].append(ticks)
        # Of which the shard has no instrument, since SHARDS changed.
        mark_aggregated(
            connection, shard, [each for each, batches in by_event.items() if not batches]
        )
    events = [TickEvent(each, joined(batches)) for each, batches in by_event.items() if batches]
    for event in events:
        log.warning("event %s was stored but not applied: applied now", event.id)
    metrics.EVENTS_RECONCILED.inc(len(events))
    shared = (
        emission for applied in context.engine.apply(events) for emission in applied.emissions
    )
    yield from dict.fromkeys(shared)


def recorded_before(
    postgres: Postgres, rules: Rules, events: Sequence[TickEvent], now_us: int, began_us: int
) -> dict[str, set[int]]:
    """Return, by event, the shards of which Postgres knows that it is in their candles.

    Only events are looked up whose markers may be gone: old ones, those from before the live state
    began, and those that a client may have posted again, since they are received anew each time.
    """
    since_us = max(now_us - rules.marker_ms * 500, began_us)
    event_ids = [each.id for each in events if each.may_repeat or each.received_us < since_us]
    if not event_ids:
        return {}
    with postgres.connection() as connection:
        return aggregated(connection, range(rules.shards), event_ids)


def _not_stored(connection: Connection, blocks: Mapping[Block, _Closed]) -> Iterator[Block]:
    """Yield the blocks that have a closed candle that is not stored at its revision."""
    for block, (names, revision_us) in blocks.items():
        stored = stored_revisions(connection, block.timeframe, block.start_us, names)
        if (stored < revision_us).any():
            yield block


def _touches(event: Stored, intervals: Sequence[tuple[int, int]]) -> bool:
    """Tell whether an event may have ticks in any of the intervals."""
    return any(from_us <= event.last_us and event.first_us < to_us for from_us, to_us in intervals)


@dataclass(slots=True)
class _State:
    """A shard's state as of one step.

    `old`: events whose markers wait for long, or since a later time, to be recorded. `open`: base
    blocks with open candles.
    """

    lineage: str
    steps: int
    markers: list[bool]
    old: list[str]
    late: set[str]
    open: set[Block]


def _look(events: Sequence[Stored], session: Session) -> tuple[_State, dict[Block, _Closed]]:
    """Return the shard's state, and its closed candles in blocks of the events' time."""
    rules, lease = session.rules, session.lease
    first_us = min((event.first_us for event in events), default=0)
    last_us = max((event.last_us for event in events), default=-1)
    blocks = {
        block
        for block in session.blocks()
        if block.start_us <= last_us
        and rules.timeframe(block.timeframe).next_us(block.start_us) > first_us
    }
    state = _State(
        *(lease.lineage, lease.steps),
        session.are_applied([event.event_id for event in events]),
        session.applied(EVENTS_AT_ONCE, until_us=session.now_us - OLD_US)
        + session.applied(EVENTS_AT_ONCE, since_us=session.now_us + AHEAD_US),
        {
            decode_late(body).event_id
            for output_id, body in session.outbox().items()
            if output_id.startswith(LATE)
        },
        {each for each in blocks if each.timeframe == rules.base.name and lease.blocks[each]},
    )
    closed: dict[Block, _Closed] = {}
    for block in blocks - state.open:
        ((names, records),) = session.read_all([block])
        rows = np.flatnonzero(records.has(CLOSED) & records.has(PRICED))
        if len(rows):
            closed[block] = [names[row] for row in rows.tolist()], records.data["revision"][rows]
    return state, closed
