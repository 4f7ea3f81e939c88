"""The candles that a step touches: read, merged, closed by the watermark, and written."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from functions.candle_aggregate.instrument import Instrument
from functions.candle_aggregate.rules import COUNTER_BITS, Rules
from functions.candle_aggregate.store import Step, Store, Versioned
from shared.candle import CandleState
from shared.kernel import CandleKey
from shared.state import end_us, pack


@dataclass(slots=True)
class Applied:
    """What a step changed: closed and open candles by key, and those that ticks came too late for.

    `late` is by event, since a repair waits until the event's ticks are stored. `corrected` counts
    the closed candles that had been closed before.
    """

    closed: dict[str, CandleState] = field(default_factory=dict)
    open: dict[str, CandleState] = field(default_factory=dict)
    late: dict[str, list[CandleKey]] = field(default_factory=dict)
    corrected: int = 0


def merge(
    store: Store,
    step: Step,
    rules: Rules,
    epoch: int,
    changes: dict[CandleKey, CandleState],
    instruments: dict[str, Instrument],
    earlier: dict[str, int],
    now_us: int,
) -> tuple[Applied, list[CandleKey]]:
    """Add to the step what changes; return it, and the candles that have left the state.

    `earlier`: what was an instrument's earliest time (us) until an older tick came.
    """
    applied = Applied()
    late: list[CandleKey] = []
    limits = {
        name: instrument.watermark_us - rules.allowed_lateness_us
        for name, instrument in instruments.items()
    }
    due = set(store.open_until(limits.items())) - changes.keys()
    firsts = set(_at_the_first_tick(rules, instruments, earlier)) - changes.keys() - due
    wanted = [*changes, *sorted(due), *sorted(firsts)]
    keys = {candle: store.keys.candle(*candle) for candle in wanted}
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
        partial = start_us < instruments[name].first_us < ends
        if candle in firsts and state.partial == partial:
            continue
        state.partial = partial
        closed = state.closed or ends <= limits[name]
        applied.corrected += state.closed
        state = revised(state, read[key].number, epoch, now_us, closed=closed)
        put_candle(store, step, rules, key, read[key], state)
        (applied.closed if closed else applied.open)[key] = state
    for name in instruments:
        recompute_due(store, step, rules, name, now_us)
    return applied, late


def _at_the_first_tick(
    rules: Rules, instruments: dict[str, Instrument], earlier: dict[str, int]
) -> Iterator[CandleKey]:
    """Yield the candles that were partial, or may be now, since an older tick has come."""
    for name, before_us in earlier.items():
        for timeframe in rules.ladder:
            for time_us in (before_us, instruments[name].first_us):
                yield name, timeframe.name, timeframe.start_us(time_us)


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
        step.index("ZADD", store.keys.unpublished, "LT", str(since_ms), key)
        look_ms = since_ms + rules.keep_us // 1000
        step.index("ZADD", store.keys.evictable, "NX", str(look_ms), f"{timeframe}:{name}")
    elif read.value is None:
        ends = end_us(rules.timeframe(timeframe), start_us)
        step.index("ZADD", store.keys.open(name), str(ends), member)
