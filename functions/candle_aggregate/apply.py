"""Ticks into state: read, compute, write in one atomic step; on a conflict read and try again.

1. Marker present: the event was applied before; nothing changes.
2. Read the instruments, the trades seen, and drop ticks whose trade was counted.
3. Kernel and roll-up: partial candles of every timeframe.
4. Read the touched candles, and open ones that the new watermark closes; merge; raise revisions.
5. Write all, set the marker, in one step that fails when any value has changed since it was read.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from functions.candle_aggregate.instrument import Instrument, instruments_of
from functions.candle_aggregate.seen import SeenTrades, minutes_with_ids, unseen
from functions.candle_aggregate.store import Step, Store, Versioned
from shared import metrics
from shared.candle import CandleState
from shared.errors import TransientError
from shared.kernel import CandleKey, partial_candles, rolled_up
from shared.state import end_us, pack
from shared.ticks import Ticks
from shared.timeframes import Timeframe

MAX_TRIES: Final = 20

COUNTER_BITS: Final = 32
"""Revision = epoch x 2^32 + counter, so that whatever a later epoch says outranks the earlier."""


@dataclass(frozen=True, slots=True)
class Rules:
    """How candles are made. `ladder`: the base timeframe first. Times in microseconds."""

    ladder: tuple[Timeframe, ...]
    allowed_lateness_us: int
    idle_us: int
    marker_ms: int

    def timeframe(self, name: str) -> Timeframe:
        """Return the timeframe of the ladder, or one that was in it before."""
        return next((t for t in self.ladder if t.name == name), None) or Timeframe.parse(name)


def apply_ticks(
    store: Store, rules: Rules, epoch: int, event_id: str, ticks: Ticks, now_us: int
) -> dict[str, CandleState] | None:
    """Apply an event's ticks once; return the closed candles it changed by key, None if repeated.

    Raises TransientError when Redis is away or other workers keep winning.
    """
    batch = instruments_of(ticks, now_us)
    minutes = minutes_with_ids(ticks)
    for _ in range(MAX_TRIES):
        if store.is_applied(event_id):
            return None
        step = Step()
        known = store.read([store.keys.instrument(name) for name in batch])
        fresh, duplicates = _unseen_ticks(store, step, ticks, minutes)
        watermarks = _advance(store, step, batch, known)
        changes = rolled_up(partial_candles(fresh, rules.ladder[0]), rules.ladder)
        closed = _merge(store, step, rules, epoch, changes, watermarks, now_us)
        outcome = store.apply(step, epoch, event_id=event_id, marker_ms=rules.marker_ms)
        if outcome == "applied":
            return None
        if outcome == "ok":
            metrics.TICKS_DUPLICATE.inc(duplicates)
            return closed
        metrics.APPLY_CONFLICTS.inc()
    raise TransientError(f"{MAX_TRIES} conflicts in a row: too many workers on one instrument")


def _unseen_ticks(
    store: Store, step: Step, ticks: Ticks, minutes: dict[tuple[str, int], list[slice]]
) -> tuple[Ticks, int]:
    keys = {key: store.keys.seen(*key) for key in minutes}
    read = store.read(list(keys.values()))
    seen = {
        key: SeenTrades.none() if (blob := read[name].value) is None else SeenTrades.decode(blob)
        for key, name in keys.items()
    }
    keep, grown = unseen(ticks, minutes, seen)
    for key, trades in grown.items():
        name = keys[key]
        step.write(name, read[name], pack(read[name].number + 1, trades.encode()))
    fresh = ticks if keep.all() else ticks.select(keep)
    return fresh, len(ticks) - len(fresh)


def _advance(
    store: Store, step: Step, batch: dict[str, Instrument], known: dict[str, Versioned]
) -> dict[str, int]:
    """Write the instruments, which also makes concurrent events of one instrument conflict."""
    watermarks = {}
    for name, here in batch.items():
        key = store.keys.instrument(name)
        read = known[key]
        joined = here.joined(None if read.value is None else Instrument.decode(read.value))
        step.write(key, read, pack(read.number + 1, joined.encode()))
        if read.value is None:
            step.index("SADD", store.keys.instruments, name)
        watermarks[name] = joined.watermark_us
    return watermarks


def _merge(
    store: Store,
    step: Step,
    rules: Rules,
    epoch: int,
    changes: dict[CandleKey, CandleState],
    watermarks: dict[str, int],
    now_us: int,
) -> dict[str, CandleState]:
    limits = {name: mark - rules.allowed_lateness_us for name, mark in watermarks.items()}
    due = set(store.open_until(limits.items())) - changes.keys()
    keys = {candle: store.keys.candle(*candle) for candle in [*changes, *sorted(due)]}
    read = store.read(list(keys.values()))
    closed: dict[str, CandleState] = {}
    for candle, key in keys.items():
        blob = read[key].value
        present = None if blob is None else CandleState.decode(blob)
        change = changes.get(candle)
        if present is None and change is None:
            continue
        state = present.merge(change) if present and change else (present or change)
        assert state is not None
        ends = end_us(rules.timeframe(candle[1]), candle[2])
        is_closed = (present is not None and present.candle.closed) or ends <= limits[candle[0]]
        state = revised(state, read[key].number, epoch, closed=is_closed)
        put_candle(store, step, key, read[key], state, ends, now_us)
        if is_closed:
            closed[key] = state
    for name in watermarks:
        step.recompute_due(store.keys.open(name), store.keys.due, name)
    return closed


def revised(state: CandleState, version: int, epoch: int, *, closed: bool) -> CandleState:
    """Return the candle one revision further, within the epoch."""
    revision = max(version, epoch << COUNTER_BITS) + 1
    return replace(state, candle=replace(state.candle, closed=closed, revision=revision))


def put_candle(
    store: Store, step: Step, key: str, read: Versioned, state: CandleState, ends: int, now_us: int
) -> None:
    """Add to the step a candle's value and its places in the indexes."""
    candle = state.candle
    step.write(key, read, pack(candle.revision, state.encode()))
    member = f"{candle.timeframe}:{candle.start_us}"
    if read.value is None:
        start = str(candle.start_us)
        step.index("ZADD", store.keys.candles(candle.instrument, candle.timeframe), start, start)
    if candle.closed:
        step.index("ZREM", store.keys.open(candle.instrument), member)
        step.index("HSET", store.keys.unpublished, key, f"{candle.revision}:{now_us // 1000}")
    elif read.value is None:
        step.index("ZADD", store.keys.open(candle.instrument), str(ends), member)
