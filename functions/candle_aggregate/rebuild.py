"""Redis lost, or new: the state is built from what Postgres holds, under a new epoch.

From one snapshot of the database: the markers of the events that are stored, and the candles, seen
trades and latest trades of the last two intervals of each instrument's longest timeframe. What was
applied to the lost state but is not stored yet is brought in by reconciling. The epoch is set last:
until then every event is answered 503, and a rebuild that is cut off begins anew.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Final

from psycopg import Connection, IsolationLevel

from functions.candle_aggregate.apply import (
    COUNTER_BITS,
    Rules,
    put_candle,
    put_seen,
    recompute_due,
    revised,
)
from functions.candle_aggregate.recompute import Recomputed, recompute
from functions.candle_aggregate.store import Step, Store, Versioned
from shared.errors import TransientError
from shared.kernel import partial_candles, rolled_up
from shared.lake.cold import NO_LAKE, Cold
from shared.lake.plan import hold_partitions
from shared.state import MISSING, end_us, pack, shard_of
from shared.stores.postgres import Postgres, next_epoch, try_lock
from shared.stores.segments import ticks_of_event, ticks_of_range

log = logging.getLogger(__name__)

_ABSENT = Versioned(MISSING, None)

NEVER_US: Final = 2**63 - 1
"""For an instrument of another shard: all of its ticks are older than what was rebuilt here."""


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
        store.clear()
        candles = 0
        begins: dict[str, int] = {}
        for name, last_us, gone in _instruments(connection, store.keys.shard, rules.shards):
            # The interval before the last one too: its candles may be open, or not emitted yet.
            longest = rules.ladder[-1]
            first_us = longest.start_us(last_us) - longest.length_us
            ticks = ticks_of_range(
                connection, name, last_us if gone else first_us, last_us + 1, cold
            )
            found = recompute(ticks, rules.ladder, now_us)
            if gone:
                found.candles.clear()
                found.seen.clear()
            floors = {
                timeframe.name: timeframe.start_us(last_us) + timeframe.length_us
                if gone
                else first_us
                for timeframe in rules.ladder
            }
            begins[name] = max(floors.values())
            store.fill(_step(store, rules, epoch, name, floors, found, now_us))
            candles += len(found.candles)
        markers = _markers(connection, store, rules)
        with postgres.connection() as other:
            # Committed before the epoch is set, and while the lock is held.
            _settle(connection, other, store.keys.shard, rules, begins)
        store.begin(epoch)
    log.info(
        "live state of shard %d begun in epoch %d: %d candles, %d markers",
        *(store.keys.shard, epoch, candles, markers),
    )


def rebuild_lock(store: Store) -> str:
    """Return the name of the advisory lock that the rebuild of a shard holds."""
    return f"kandle rebuild {store.keys.shard}"


def _instruments(connection: Connection, shard: int, shards: int) -> list[tuple[str, int, bool]]:
    """Return instruments, the time of the last tick of each, and whether its day left Postgres.

    Of those that did no candle is live: a tick that comes for one is late, and the candle repaired.
    """
    rows = connection.execute(
        "SELECT instrument, max(last_us), EXISTS (SELECT FROM cold_days"
        " WHERE day = date '1970-01-01' + floor(max(last_us) / 86400000000.0)::int)"
        " FROM (SELECT instrument, max(last_time_us) AS last_us FROM tick_segments"
        " GROUP BY instrument UNION ALL SELECT instrument, max(max_time_us) FROM lake_files"
        " WHERE superseded_at IS NULL AND bucket = 'ticks' GROUP BY instrument) AS known"
        " GROUP BY instrument"
    ).fetchall()
    return [row for row in rows if shard_of(row[0], shards) == shard]


def _step(
    store: Store,
    rules: Rules,
    epoch: int,
    name: str,
    floors: Mapping[str, int],
    found: Recomputed,
    now_us: int,
) -> Step:
    step = Step()
    instrument = found.instruments[name]
    for timeframe, floor_us in floors.items():
        instrument = instrument.raised(timeframe, floor_us)
    step.write(store.keys.instrument(name), _ABSENT, pack(1, instrument.encode()))
    step.index("SADD", store.keys.instruments, name)
    limit = instrument.watermark_us - rules.allowed_lateness_us
    for candle, found_state in found.candles.items():
        closed = end_us(rules.timeframe(candle[1]), candle[2]) <= limit
        state = revised(found_state, epoch << COUNTER_BITS, epoch, now_us, closed=closed)
        put_candle(store, step, rules, store.keys.candle(*candle), _ABSENT, state)
    for block, trades in found.seen.items():
        put_seen(store, step, block, _ABSENT, trades)
    recompute_due(store, step, rules, name, now_us)
    return step


def _settle(
    snapshot: Connection, connection: Connection, shard: int, rules: Rules, begins: dict[str, int]
) -> None:
    """Record what stands in the snapshot as aggregated: the state holds it by now.

    Ticks from before the state begins are in no candle of it. Those of events that may never have
    been applied are queued for repair.
    """
    rows = snapshot.execute(
        "SELECT event_id FROM applied_events WHERE shard = %s AND NOT aggregated", (shard,)
    ).fetchall()
    repairs = []
    for (event_id,) in rows:
        for ticks in ticks_of_event(snapshot, event_id):
            name = ticks.entries[0].name
            older = ticks.select(ticks.event_time_us < begins.get(name, NEVER_US))
            partials = partial_candles(older, rules.ladder[0])
            repairs += [(*key, event_id) for key in rolled_up(partials, rules.ladder)]
    connection.cursor().executemany(
        "INSERT INTO repairs (instrument, timeframe, start_us, event_id)"
        " VALUES (%s, %s, %s, %s) ON CONFLICT DO NOTHING",
        repairs,
    )
    connection.execute(
        "UPDATE applied_events SET aggregated = true WHERE event_id = ANY(%s)",
        ([row[0] for row in rows],),
    )


def _markers(connection: Connection, store: Store, rules: Rules) -> int:
    count = 0
    with connection.cursor(name="kandle_markers") as cursor:
        cursor.execute(
            "SELECT event_id FROM applied_events"
            " WHERE shard = %s AND applied_at > now() - %s * interval '1 millisecond'",
            (store.keys.shard, rules.marker_ms),
        )
        while rows := cursor.fetchmany(5_000):
            store.set_markers([row[0] for row in rows], rules.marker_ms)
            count += len(rows)
    return count
