"""Postgres and the live state agree: what is stored is applied, and Postgres knows that it is.

An event is recorded as aggregated once all that it changed is safe in Postgres: every base candle
of its time is closed and stored at its revision, every closed longer candle is stored, and nothing
that it was late for waits to be emitted. So Redis may be lost at any moment: what is not recorded
is applied again, and what is recorded is in the stored candles.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from psycopg import Connection

from functions.candle_aggregate.lineage import record
from functions.candle_aggregate.rules import Rules
from functions.candle_aggregate.work import LATE, Engine, TickEvent, Work, on
from shared import metrics
from shared.adapter.app import Outcome
from shared.blocks import CLOSED, PRICED
from shared.late import decode_late
from shared.live_keys import Block
from shared.stores.applied import Stored, mark_aggregated, not_aggregated
from shared.stores.postgres import Postgres, try_lock
from shared.stores.segments import ticks_of_shard_events
from shared.stores.stored_candles import stored_revisions
from shared.ticks import joined

log = logging.getLogger(__name__)

GRACE_US: Final = 30_000_000
"""A younger event is probably still on its way."""
EVENTS_AT_ONCE: Final = 10_000
APPLIED_AT_ONCE: Final = 200
"""So that one clock event does not hold up the next; it goes on."""

_Closed = tuple[list[str], NDArray[np.int64]]
"""Instruments of a block whose candle is closed, and its revision."""


def reconcile(
    engine: Engine, postgres: Postgres, rules: Rules, shard: int, now_us: int
) -> Iterator[Outcome]:
    """Apply a shard's stored events that have no marker, and record those that are safe.

    One holder at a time. Raises TransientError.
    """
    with postgres.connection() as connection:
        if not try_lock(connection, f"kandle reconcile {shard}"):
            return
        # The events first: one that has its marker below has it in the blocks read there.
        events = not_aggregated(connection, shard, now_us - GRACE_US, EVENTS_AT_ONCE)
        seen, blocks = on(engine, rules, shard, lambda work: _look(work, events, rules))
        unsafe = [*seen.open, *_not_stored(connection, blocks)]
        intervals = [
            (block.start_us, rules.timeframe(block.timeframe).next_us(block.start_us))
            for block in unsafe
        ]
        certain: list[str] = []
        missing: list[Stored] = []
        for event, is_applied in zip(events, seen.markers, strict=True):
            if not is_applied:
                missing.append(event)
            elif event.event_id not in seen.late and not _touches(event, intervals):
                certain.append(event.event_id)
        if certain:
            mark_aggregated(connection, shard, certain)
        record(connection, shard, seen.lineage, seen.steps, now_us)
    if certain or seen.has_recorded:
        on(engine, rules, shard, lambda work: _recorded(work, certain, now_us // 1000, rules))
    for stored in missing[:APPLIED_AT_ONCE]:
        with postgres.connection() as connection:
            batches = list(
                ticks_of_shard_events(connection, shard, rules.shards, [stored.event_id])
            )
        log.warning("event %s was stored but not applied: applied now", stored.event_id)
        metrics.EVENTS_RECONCILED.inc()
        yield engine.apply([TickEvent(stored.event_id, joined(batches))]).outcome


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
class _Seen:
    """What a shard's state says, as of one step. `open`: base blocks that have open candles."""

    lineage: str
    steps: int
    markers: list[bool]
    late: set[str]
    open: set[Block]
    has_recorded: bool


def _look(work: Work, events: Sequence[Stored], rules: Rules) -> tuple[_Seen, dict[Block, _Closed]]:
    """Return what the state says, and its closed candles in blocks of the events' time."""
    seen = _Seen(
        work.turn.lineage,
        work.turn.steps,
        work.are_applied([event.event_id for event in events]),
        {
            decode_late(body).event_id
            for output_id, body in work.outbox().items()
            if output_id.startswith(LATE)
        },
        set(),
        work.has_recorded(),
    )
    first_us = min((event.first_us for event in events), default=0)
    last_us = max((event.last_us for event in events), default=-1)
    closed: dict[Block, _Closed] = {}
    for block in work.blocks():
        if block.start_us > last_us or rules.timeframe(block.timeframe).next_us(block.start_us) <= (
            first_us
        ):
            continue
        if block.timeframe == rules.base.name and work.open_count(block):
            seen.open.add(block)
            continue
        names, records = work.read(block)
        rows = np.flatnonzero(records.has(CLOSED) & records.has(PRICED))
        if len(rows):
            some = [names[row] for row in rows.tolist()]
            closed[block] = some, records.data["revision"][rows]
    return seen, closed


def _recorded(work: Work, event_ids: Sequence[str], now_ms: int, rules: Rules) -> None:
    work.note_recorded(event_ids, now_ms)
    work.forget_recorded(now_ms - rules.marker_ms)
    work.commit(now_ms * 1000)
