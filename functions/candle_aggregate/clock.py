"""What the clock finds to do in the state: due candles to close, and what nobody confirmed."""

from __future__ import annotations

from itertools import islice
from typing import Final

from functions.candle_aggregate.instrument import Instrument
from functions.candle_aggregate.merge import put_candle, recompute_due, revised
from functions.candle_aggregate.rules import Rules
from functions.candle_aggregate.store import Step, Store
from shared.candle import CandleState

DUE_AT_ONCE: Final = 500
RESEND_AFTER_MS: Final = 5_000
RESEND_AT_ONCE: Final = 500


def close_quiet(store: Store, rules: Rules, epoch: int, now_us: int) -> dict[str, CandleState]:
    """Close candles whose end, and the allowed lateness, have passed by the wall clock.

    Only of instruments that received nothing for the idle time, so that replaying old data does not
    trip it. Closing is a compare-and-set: on a conflict the next second does it.
    """
    closed: dict[str, CandleState] = {}
    until = now_us - rules.allowed_lateness_us
    names = store.due(now_us, DUE_AT_ONCE)
    instruments = store.read([store.keys.instrument(name) for name in names])
    for name in names:
        blob = instruments[store.keys.instrument(name)].value
        if blob is None or now_us - Instrument.decode(blob).received_us < rules.idle_us:
            continue
        step = Step()
        candles = store.open_until([(name, until)])
        read = store.read([store.keys.candle(*candle) for candle in candles])
        changed = {}
        for candle in candles:
            key = store.keys.candle(*candle)
            value = read[key].value
            if value is None:
                step.index("ZREM", store.keys.open(name), f"{candle[1]}:{candle[2]}")
                continue
            state = CandleState.decode(value)
            state = revised(state, read[key].number, epoch, now_us, closed=True)
            put_candle(store, step, rules, key, read[key], state)
            changed[key] = state
        recompute_due(store, step, rules, name, now_us)
        if store.apply(step, epoch) == "ok":
            closed.update(changed)
    return closed


def unconfirmed(
    store: Store, now_us: int, after_ms: int = RESEND_AFTER_MS
) -> dict[str, CandleState]:
    """Return closed candles that have waited for their confirmation too long."""
    waiting = store.unpublished(now_us // 1000 - after_ms, RESEND_AT_ONCE)
    return {
        key: CandleState.decode(read.value)
        for key, read in store.read(waiting).items()
        if read.value is not None
    }


def unconfirmed_late(
    store: Store, now_us: int, after_ms: int = RESEND_AFTER_MS
) -> dict[str, bytes]:
    """Return late batches that have waited for their confirmation too long, by event."""
    return {
        event_id: batch
        for event_id, (since_ms, batch) in islice(store.late().items(), RESEND_AT_ONCE)
        if now_us // 1000 - since_ms >= after_ms
    }
