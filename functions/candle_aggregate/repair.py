"""Candles that ticks came too late for, recomputed from storage under a new epoch."""

from __future__ import annotations

from typing import Final

from psycopg import Connection

from functions.candle_aggregate.apply import COUNTER_BITS, Rules
from functions.candle_aggregate.gaps import open_gaps
from functions.candle_aggregate.publish import candle_events
from functions.candle_aggregate.rebuild import rebuild_lock
from functions.candle_aggregate.recompute import recompute
from functions.candle_aggregate.store import Store
from shared import metrics
from shared.adapter.app import Outcome
from shared.candle import Candle, CandleState
from shared.gaps import touches
from shared.kernel import CandleKey
from shared.lake.cold import NO_LAKE, Cold
from shared.state import end_us, shard_of
from shared.stores.postgres import Postgres, next_epoch, try_lock
from shared.stores.segments import ticks_of_range

REPAIRS_AT_ONCE: Final = 200

_DUE: Final = """
    SELECT instrument, timeframe, start_us, event_id FROM repairs
    WHERE EXISTS (SELECT FROM applied_events a WHERE a.event_id = repairs.event_id)
    ORDER BY instrument, timeframe, start_us LIMIT %s
"""
"""A repair waits until the ticks of its event are stored."""


def repair(
    stores: list[Store], postgres: Postgres, rules: Rules, now_us: int, cold: Cold = NO_LAKE
) -> Outcome:
    """Recompute queued candles, one holder at a time; the queue is struck once they are emitted.

    A candle that is in the state again is left to it. Raises TransientError.
    """
    with postgres.connection() as connection:
        if not try_lock(connection, "kandle repair"):
            return Outcome()
        for store in stores:
            # A rebuild excludes repairs: a candle that it is about to make must not get a higher
            # epoch from here.
            name = rebuild_lock(store)
            if not try_lock(connection, name, shared=True) or store.epoch() is None:
                return Outcome()
        # The queue first: what stands in it has its ticks stored, so the reading below has them.
        queued = connection.execute(_DUE, (REPAIRS_AT_ONCE,)).fetchall()
        if not queued:
            return Outcome()
        epoch = next_epoch(connection)
        keys: dict[CandleKey, None] = dict.fromkeys((row[0], row[1], row[2]) for row in queued)
        candles = [
            candle
            for key in keys
            if not _is_live(stores, key)
            and (candle := recomputed(connection, rules, key, epoch, now_us, cold)) is not None
        ]

    def confirmed() -> None:
        with postgres.connection() as connection:
            connection.cursor().executemany(
                "DELETE FROM repairs WHERE instrument = %s AND timeframe = %s AND start_us = %s"
                " AND event_id = %s",
                queued,
            )
        metrics.CANDLES_REPAIRED.inc(len(candles))

    return Outcome(candle_events(candles, 0), confirmed)


def recomputed(
    connection: Connection,
    rules: Rules,
    key: CandleKey,
    epoch: int,
    now_us: int,
    cold: Cold = NO_LAKE,
) -> Candle | None:
    """Return a candle as the stored ticks define it, closed, or None without any tick."""
    name, timeframe_name, start_us = key
    timeframe = rules.timeframe(timeframe_name)
    batches = ticks_of_range(connection, name, start_us, end_us(timeframe, start_us), cold)
    found = recompute(batches, (timeframe,), now_us).candles.get(key)
    if found is None:
        return None
    revision = (epoch << COUNTER_BITS) + 1
    complete = not touches(open_gaps(connection, name), start_us, end_us(timeframe, start_us))
    return CandleState(*key, found.bar, closed=True, complete=complete, revision=revision).candle


def _is_live(stores: list[Store], key: CandleKey) -> bool:
    store = stores[shard_of(key[0], len(stores))]
    name = store.keys.candle(*key)
    return store.read([name])[name].value is not None
