"""Ticks into state: read, compute, write in one atomic step; on a conflict read and try again.

A step takes one event or several: what it costs is the candles it touches, so events that wait for
each other anyway are applied together (`group.py`).

1. Marker present: the event was applied before; it is left out.
2. Read the instruments, the trades seen, and drop ticks whose trade was counted.
3. Kernel and roll-up: partial candles of every timeframe.
4. Read the touched candles, and open ones that the new watermark closes; merge; raise revisions.
   A candle that has left the state is not begun again: it is late, to be repaired from storage.
5. Write all, set the markers, in one step that fails when any value has changed since it was read.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Final

import numpy as np
from numpy.typing import NDArray

from functions.candle_aggregate.instrument import Instrument, instruments_of
from functions.candle_aggregate.merge import Applied, merge
from functions.candle_aggregate.rules import Rules
from functions.candle_aggregate.seen import (
    BlockKey,
    SeenTrades,
    trades_by_block,
    unseen,
)
from functions.candle_aggregate.store import Step, Store, Versioned
from shared import metrics
from shared.candle import CandleState
from shared.errors import TransientError
from shared.kernel import CandleKey, partial_candles, rolled_up
from shared.late import encode_late
from shared.repetitions import MINUTE_US
from shared.state import APPLIED, REPEATED, pack
from shared.ticks import Ticks

MAX_TRIES: Final = 20


@dataclass(frozen=True, slots=True, eq=False)
class TickEvent:
    """An event to apply: its id, which is its marker, and its ticks.

    `may_repeat`: a client may send it again under the same id with new receive times.
    """

    id: str
    ticks: Ticks
    may_repeat: bool = False

    @property
    def received_us(self) -> int:
        """When the bridge received the newest of its ticks."""
        return int(self.ticks.receive_time_us.max())


def apply_events(
    store: Store, rules: Rules, epoch: int, events: Sequence[TickEvent], now_us: int
) -> tuple[Applied, list[str]]:
    """Apply events once each, all of them in one step.

    Returns what changed, and the ids of those that were applied before. Raises TransientError when
    Redis is away or other workers keep winning.
    """
    blocks = {event.id: trades_by_block(event.ticks) for event in events}
    repeated: list[str] = []
    for _ in range(MAX_TRIES):
        done = store.are_applied([event.id for event in events])
        repeated += [event.id for event, is_done in zip(events, done, strict=True) if is_done]
        events = [event for event, is_done in zip(events, done, strict=True) if not is_done]
        if not events:
            return Applied(), repeated
        step = Step()
        instruments, earlier = _advance(store, step, events, now_us)
        fresh = _unseen_ticks(store, step, rules, events, blocks, instruments)
        partials = {event.id: partial_candles(event.ticks, rules.ladder[0]) for event in fresh}
        changes = rolled_up(chain.from_iterable(partials.values()), rules.ladder)
        applied, late = merge(store, step, rules, epoch, changes, instruments, earlier, now_us)
        applied.late = _late_by_event(partials, late, rules)
        for event_id, candles in applied.late.items():
            blob = pack(now_us // 1000, encode_late(event_id, candles))
            step.hash_set(store.keys.late, event_id, base64.b64encode(blob))
        markers = {
            event.id: APPLIED if len(event.ticks) == len(rest.ticks) else REPEATED
            for event, rest in zip(events, fresh, strict=True)
        }
        for event_id in markers:
            step.index("ZADD", store.keys.pending, str(now_us // 1000), event_id)
        if store.apply(step, epoch, markers=markers) == "ok":
            before, after = (sum(len(e.ticks) for e in some) for some in (events, fresh))
            metrics.TICKS_DUPLICATE.inc(before - after)
            metrics.CANDLES_LATE.inc(len(late))
            metrics.CANDLES_CORRECTED.inc(applied.corrected)
            return applied, repeated
        metrics.APPLY_CONFLICTS.inc()
    raise TransientError(f"{MAX_TRIES} conflicts in a row: too many workers on one instrument")


def _late_by_event(
    partials: dict[str, list[CandleState]], late: list[CandleKey], rules: Rules
) -> dict[str, list[CandleKey]]:
    """Tell for each event which of the late candles its ticks belong to."""
    if not late:
        return {}
    wanted = set(late)
    found = {}
    for event_id, states in partials.items():
        if here := sorted(wanted & rolled_up(states, rules.ladder).keys()):
            found[event_id] = here
    return found


def _advance(
    store: Store, step: Step, events: Sequence[TickEvent], now_us: int
) -> tuple[dict[str, Instrument], dict[str, int]]:
    """Write the instruments, which also makes concurrent steps of one instrument conflict.

    Returns them, and for those that an older tick than any before has come for, what was the
    earliest time (us) until now.
    """
    batch: dict[str, Instrument] = {}
    for event in events:
        for name, here in instruments_of(event.ticks, now_us).items():
            batch[name] = here.joined(batch.get(name))
    known = store.read([store.keys.instrument(name) for name in batch])
    joined = {}
    earlier = {}
    for name, here in batch.items():
        key = store.keys.instrument(name)
        read = known[key]
        before = None if read.value is None else Instrument.decode(read.value)
        joined[name] = here.joined(before)
        if before is not None and here.first_us < before.first_us:
            earlier[name] = before.first_us
        step.write(key, read, pack(read.number + 1, joined[name].encode()))
        if read.value is None:
            step.index("SADD", store.keys.instruments, name)
    return joined, earlier


def _unseen_ticks(
    store: Store,
    step: Step,
    rules: Rules,
    events: Sequence[TickEvent],
    blocks: dict[str, dict[BlockKey, NDArray[np.int64]]],
    instruments: dict[str, Instrument],
) -> list[TickEvent]:
    """Drop ticks whose trade was counted. Below every floor nothing is counted, or kept."""
    names = [timeframe.name for timeframe in rules.ladder]
    floors = {name: each.lowest_floor(names) for name, each in instruments.items()}
    live = {
        event.id: {
            key: rows
            for key, rows in blocks[event.id].items()
            if key[1] * MINUTE_US >= floors[key[0]]
        }
        for event in events
    }
    keys = {key: store.keys.seen(*key) for of_event in live.values() for key in of_event}
    read = store.read(list(keys.values()))
    seen = {
        key: SeenTrades.none() if (blob := read[name].value) is None else SeenTrades.decode(blob)
        for key, name in keys.items()
    }
    changed: dict[BlockKey, SeenTrades] = {}
    fresh = []
    for event in events:
        keep, grown = unseen(event.ticks, live[event.id], seen)
        seen.update(grown)
        changed.update(grown)
        ticks = event.ticks if keep.all() else event.ticks.select(keep)
        fresh.append(TickEvent(event.id, ticks))
    for key, trades in changed.items():
        put_seen(store, step, key, read[keys[key]], trades)
    return fresh


def put_seen(store: Store, step: Step, key: BlockKey, read: Versioned, trades: SeenTrades) -> None:
    """Add to the step a block of seen trades and its place in the index."""
    name, minute, block = key
    step.write(store.keys.seen(*key), read, pack(read.number + 1, trades.encode()))
    if read.value is None:
        step.index("ZADD", store.keys.blocks(name), str(minute), f"{minute}:{block}")
