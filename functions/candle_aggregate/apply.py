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
from dataclasses import dataclass, field
from itertools import chain
from typing import Final

import numpy as np
from numpy.typing import NDArray

from functions.candle_aggregate.instrument import Instrument, instruments_of
from functions.candle_aggregate.seen import (
    MINUTE_US,
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
from shared.state import end_us, pack
from shared.ticks import Ticks
from shared.timeframes import Timeframe

MAX_TRIES: Final = 20

COUNTER_BITS: Final = 32
"""Revision = epoch x 2^32 + counter, so that whatever a later epoch says outranks the earlier."""


@dataclass(frozen=True, slots=True)
class Rules:
    """How candles are made. `ladder`: the base timeframe first. Times in microseconds.

    `marker_ms`: life of a marker once Postgres knows what it says. `keep_us`: how long a closed
    candle stays in the state untouched. `shards`: how many states the instruments are divided
    among.
    """

    ladder: tuple[Timeframe, ...]
    allowed_lateness_us: int
    idle_us: int
    marker_ms: int
    keep_us: int = 600_000_000
    shards: int = 1

    def timeframe(self, name: str) -> Timeframe:
        """Return the timeframe of the ladder, or one that was in it before."""
        return next((t for t in self.ladder if t.name == name), None) or Timeframe.parse(name)


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


@dataclass(slots=True)
class Applied:
    """What a step changed: closed and open candles by key, and those that ticks came too late for.

    `late` is by event, since a repair waits until the event's ticks are stored.
    """

    closed: dict[str, CandleState] = field(default_factory=dict)
    open: dict[str, CandleState] = field(default_factory=dict)
    late: dict[str, list[CandleKey]] = field(default_factory=dict)


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
        instruments = _advance(store, step, events, now_us)
        fresh = _unseen_ticks(store, step, rules, events, blocks, instruments)
        partials = {event.id: partial_candles(event.ticks, rules.ladder[0]) for event in fresh}
        changes = rolled_up(chain.from_iterable(partials.values()), rules.ladder)
        applied, late = _merge(store, step, rules, epoch, changes, instruments, now_us)
        applied.late = _late_by_event(partials, late, rules)
        for event_id, candles in applied.late.items():
            blob = pack(now_us // 1000, encode_late(event_id, candles))
            step.hash_set(store.keys.late, event_id, base64.b64encode(blob))
        markers = [event.id for event in events]
        if store.apply(step, epoch, markers=markers) == "ok":
            before, after = (sum(len(e.ticks) for e in some) for some in (events, fresh))
            metrics.TICKS_DUPLICATE.inc(before - after)
            metrics.CANDLES_LATE.inc(len(late))
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
) -> dict[str, Instrument]:
    """Write the instruments, which also makes concurrent steps of one instrument conflict."""
    batch: dict[str, Instrument] = {}
    for event in events:
        for name, here in instruments_of(event.ticks, now_us).items():
            batch[name] = here.joined(batch.get(name))
    known = store.read([store.keys.instrument(name) for name in batch])
    joined = {}
    for name, here in batch.items():
        key = store.keys.instrument(name)
        read = known[key]
        joined[name] = here.joined(None if read.value is None else Instrument.decode(read.value))
        step.write(key, read, pack(read.number + 1, joined[name].encode()))
        if read.value is None:
            step.index("SADD", store.keys.instruments, name)
    return joined


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


def _merge(
    store: Store,
    step: Step,
    rules: Rules,
    epoch: int,
    changes: dict[CandleKey, CandleState],
    instruments: dict[str, Instrument],
    now_us: int,
) -> tuple[Applied, list[CandleKey]]:
    applied = Applied()
    late: list[CandleKey] = []
    limits = {
        name: instrument.watermark_us - rules.allowed_lateness_us
        for name, instrument in instruments.items()
    }
    due = set(store.open_until(limits.items())) - changes.keys()
    keys = {candle: store.keys.candle(*candle) for candle in [*changes, *sorted(due)]}
    read = store.read(list(keys.values()))
    for candle, key in keys.items():
        name, timeframe, start_us = candle
        blob = read[key].value
        change = changes.get(candle)
        if blob is not None:
            present = CandleState.decode(blob)
            state = present if change is None else present.merge(change)
        elif change is None:
            continue
        elif start_us < instruments[name].floor(timeframe):
            late.append(candle)
            continue
        else:
            state = change
        ends = end_us(rules.timeframe(timeframe), start_us)
        closed = state.closed or ends <= limits[name]
        state = revised(state, read[key].number, epoch, now_us, closed=closed)
        put_candle(store, step, rules, key, read[key], state)
        (applied.closed if closed else applied.open)[key] = state
    for name in instruments:
        recompute_due(store, step, rules, name, now_us)
    return applied, late


def recompute_due(store: Store, step: Step, rules: Rules, name: str, now_us: int) -> None:
    """Add to the step when the clock looks whether the instrument is quiet."""
    step.recompute_due(
        store.keys,
        name,
        not_before_us=now_us + rules.idle_us,
        lateness_us=rules.allowed_lateness_us,
    )


def revised(
    state: CandleState, version: int, epoch: int, now_us: int, *, closed: bool
) -> CandleState:
    """Return the candle one revision further, within the epoch."""
    return CandleState(
        state.instrument,
        state.timeframe,
        state.start_us,
        state.bar,
        closed,
        state.partial,
        state.complete,
        max(version, epoch << COUNTER_BITS) + 1,
        now_us,
    )


def put_candle(
    store: Store, step: Step, rules: Rules, key: str, read: Versioned, state: CandleState
) -> None:
    """Add to the step a candle's value and its places in the indexes."""
    name, timeframe, start_us = state.instrument, state.timeframe, state.start_us
    step.write(key, read, pack(state.revision, state.encode()))
    if read.value is None:
        step.index("ZADD", store.keys.candles(name, timeframe), str(start_us), str(start_us))
    member = f"{timeframe}:{start_us}"
    if state.closed:
        step.index("ZREM", store.keys.open(name), member)
        since_ms = state.touched_us // 1000
        step.index("ZADD", store.keys.unpublished, str(since_ms), key)
        look_ms = since_ms + rules.keep_us // 1000
        step.index("ZADD", store.keys.evictable, "NX", str(look_ms), f"{timeframe}:{name}")
    elif read.value is None:
        ends = end_us(rules.timeframe(timeframe), start_us)
        step.index("ZADD", store.keys.open(name), str(ends), member)
