"""Redis lost, or new: the state is built from what Postgres holds, under a new epoch.

From one snapshot of the database: the markers of the events that are stored, and the candles, seen
trades and latest trades of the last two intervals of each instrument's longest timeframe. What was
applied to the lost state but is not stored yet is brought in by reconciling. The epoch is set last:
until then every event is answered 503, and a rebuild that is cut off begins anew. Who builds has
claimed it in Redis, too: a builder that was paused and overtaken can write nothing any more.
"""

from __future__ import annotations

import logging
from typing import Final

from psycopg import Connection, IsolationLevel

from functions.candle_aggregate.apply import put_seen
from functions.candle_aggregate.history import Recomputed, known_instruments, live_part
from functions.candle_aggregate.merge import put_candle, recompute_due, revised
from functions.candle_aggregate.rules import COUNTER_BITS, Rules
from functions.candle_aggregate.settle import settle
from functions.candle_aggregate.store import Step, Store, Versioned
from shared.errors import TransientError
from shared.lake.cold import NO_LAKE, Cold
from shared.lake.plan import hold_partitions
from shared.state import APPLIED, MISSING, end_us, pack
from shared.stores.postgres import Postgres, next_epoch, try_lock

log = logging.getLogger(__name__)

_ABSENT = Versioned(MISSING, None)
_MARKERS_AT_ONCE: Final = 5_000


def rebuild(
    store: Store, postgres: Postgres, rules: Rules, now_us: int, cold: Cold = NO_LAKE
) -> None:
    """Build a shard's state. Raises TransientError while another does, or a store is away."""
    with postgres.connection(isolation=IsolationLevel.REPEATABLE_READ) as connection:
        hold_partitions(connection)
        if not try_lock(connection, rebuild_lock(store)):
            raise TransientError("the live state is being rebuilt")
        if store.epoch() is not None:
            return
        epoch = next_epoch(connection)
        if not store.claim(epoch):
            raise TransientError("the live state is being rebuilt")
        _clear(store, epoch)
        candles = 0
        begins: dict[str, int] = {}
        for known in known_instruments(connection, store.keys.shard, rules.shards):
            floors = known.floors(rules)
            begins[known.name] = max(floors.values())
            found = live_part(connection, rules, known, floors, now_us, cold)
            store.build(_step(store, rules, epoch, found, now_us), epoch)
            candles += len(found.candles)
        markers = _markers(connection, store, rules, epoch, now_us)
        with postgres.connection() as other:
            # Committed before the epoch is set, and while the lock is held.
            settle(connection, other, store.keys.shard, rules, begins, cold)
        begin(store, epoch)
    log.info(
        "live state of shard %d begun in epoch %d: %d candles, %d markers",
        *(store.keys.shard, epoch, candles, markers),
    )


def rebuild_lock(store: Store) -> str:
    """Return the name of the advisory lock that the rebuild of a shard holds."""
    return f"kandle rebuild {store.keys.shard}"


def begin(store: Store, epoch: int) -> None:
    """Set the epoch: the state that was claimed and built is in force. Raises TransientError."""
    step = Step()
    step.index("SET", store.keys.epoch, str(epoch))
    step.index("DEL", store.keys.rebuilding)
    store.build(step, epoch)


def _clear(store: Store, epoch: int) -> None:
    """Delete every key of the shard: what a rebuild that was cut off has left."""
    for keys in store.all_keys():
        step = Step()
        for key in keys:
            if key != store.keys.rebuilding:
                step.index("UNLINK", key)
        store.build(step, epoch)


def _step(store: Store, rules: Rules, epoch: int, found: Recomputed, now_us: int) -> Step:
    step = Step()
    instrument = found.instrument
    assert instrument is not None
    step.write(store.keys.instrument(instrument.name), _ABSENT, pack(1, instrument.encode()))
    step.index("SADD", store.keys.instruments, instrument.name)
    limit = instrument.watermark_us - rules.allowed_lateness_us
    for candle, found_state in found.candles.items():
        closed = end_us(rules.timeframe(candle[1]), candle[2]) <= limit
        state = revised(found_state, epoch << COUNTER_BITS, epoch, now_us, closed=closed)
        put_candle(store, step, rules, store.keys.candle(*candle), _ABSENT, state)
    for block, trades in found.seen.items():
        put_seen(store, step, block, _ABSENT, trades)
    recompute_due(store, step, rules, instrument.name, now_us)
    return step


def _markers(connection: Connection, store: Store, rules: Rules, epoch: int, now_us: int) -> int:
    count = 0
    with connection.cursor(name="kandle_markers") as cursor:
        cursor.execute(
            "SELECT event_id FROM applied_events"
            " WHERE applied_at > timestamptz 'epoch' + %s * interval '1 microsecond'",
            (now_us - rules.marker_ms * 1000,),
        )
        while rows := cursor.fetchmany(_MARKERS_AT_ONCE):
            step = Step()
            for (event_id,) in rows:
                key = store.keys.marker(event_id)
                step.index("SET", key, APPLIED.decode(), "PX", str(rules.marker_ms))
            store.build(step, epoch)
            count += len(rows)
    return count
