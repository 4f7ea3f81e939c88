"""Closed candles leave the state once they are stored and long untouched; the floor remembers."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import takewhile
from typing import Final

from psycopg import Connection

from functions.candle_aggregate.instrument import NO_FLOOR, Instrument
from functions.candle_aggregate.rules import Rules
from functions.candle_aggregate.store import Step, Store, Versioned
from shared import metrics
from shared.candle import CandleState
from shared.repetitions import MINUTE_US
from shared.state import end_us, pack
from shared.stores.postgres import Postgres
from shared.timeframes import Timeframe

PLACES_AT_ONCE: Final = 100
CANDLES_AT_ONCE: Final = 200
LOOK_AGAIN_MS: Final = 30_000


def evict(store: Store, postgres: Postgres, rules: Rules, epoch: int, now_us: int) -> int:
    """Let go of candles that are closed, stored at their revision, and untouched for `keep_us`.

    The oldest first and without a hole, so that "starts before the floor" means "not in the state".
    Returns how many left. Raises TransientError.
    """
    left = 0
    for name, timeframe in store.evictable(now_us // 1000, PLACES_AT_ONCE):
        left += _evict(store, postgres, rules, epoch, now_us, name, rules.timeframe(timeframe))
    metrics.CANDLES_EVICTED.inc(left)
    return left


def _evict(
    store: Store,
    postgres: Postgres,
    rules: Rules,
    epoch: int,
    now_us: int,
    name: str,
    timeframe: Timeframe,
) -> int:
    instrument_key = store.keys.instrument(name)
    instrument = store.read([instrument_key])[instrument_key]
    starts = store.candles(name, timeframe.name, CANDLES_AT_ONCE)
    keys = {start: store.keys.candle(name, timeframe.name, start) for start in starts}
    read = store.read(list(keys.values()))
    with postgres.connection() as connection:
        stored = _stored_revisions(connection, name, timeframe.name, starts)
    waiting = dict(zip(starts, store.are_unpublished(list(keys.values())), strict=True))

    def may_leave(start: int) -> bool:
        blob = read[keys[start]].value
        if blob is None:
            return True
        state = CandleState.decode(blob)
        return (
            state.closed
            and not waiting[start]
            and now_us - state.touched_us >= rules.keep_us
            and stored.get(start, 0) >= state.revision
        )

    leaving = list(takewhile(may_leave, starts))
    step = Step()
    member = f"{timeframe.name}:{name}"
    if leaving and instrument.value is not None:
        _let_go(store, step, rules, instrument, timeframe, leaving, read)
    if len(leaving) == len(starts) and len(starts) < CANDLES_AT_ONCE:
        step.index("ZREM", store.keys.evictable, member)
    elif len(leaving) < len(starts):
        step.index("ZADD", store.keys.evictable, str(now_us // 1000 + LOOK_AGAIN_MS), member)
    return len(leaving) if store.apply(step, epoch) == "ok" else 0


def _let_go(
    store: Store,
    step: Step,
    rules: Rules,
    read_instrument: Versioned,
    timeframe: Timeframe,
    leaving: Iterable[int],
    read: dict[str, Versioned],
) -> None:
    assert read_instrument.value is not None
    instrument = Instrument.decode(read_instrument.value)
    name = instrument.name
    floor = instrument.floor(timeframe.name)
    for start in leaving:
        key = store.keys.candle(name, timeframe.name, start)
        step.delete(key, read[key])
        step.index("ZREM", store.keys.candles(name, timeframe.name), str(start))
        floor = max(floor, end_us(timeframe, start))
    raised = instrument.raised(timeframe.name, floor)
    step.write(
        store.keys.instrument(name),
        read_instrument,
        pack(read_instrument.number + 1, raised.encode()),
    )
    lowest = raised.lowest_floor(each.name for each in rules.ladder)
    if lowest > NO_FLOOR:
        # No candle of any timeframe counts these minutes any more.
        for minute, block in store.blocks_before(name, lowest // MINUTE_US):
            step.index("DEL", store.keys.seen(name, minute, block))
            step.index("ZREM", store.keys.blocks(name), f"{minute}:{block}")


def _stored_revisions(
    connection: Connection, name: str, timeframe: str, starts: list[int]
) -> dict[int, int]:
    rows = connection.execute(
        "SELECT start_us, revision FROM candles"
        " WHERE instrument = %s AND timeframe = %s AND start_us = ANY(%s)",
        (name, timeframe, starts),
    )
    return dict(rows.fetchall())
