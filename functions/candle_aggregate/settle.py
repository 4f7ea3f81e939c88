"""After a loss: what the stored events say that the rebuilt state cannot hold, queued for repair.

The rebuilt state begins with an instrument's last but one interval. What may be wrong before that:
candles of events that may never have been applied; and candles that the lost state had not emitted
yet. An event is recorded as aggregated only when all that was to be emitted before it, and for it,
was (`reconcile.py`). So the latter lie just before an interval that no aggregated event reaches.
"""

from __future__ import annotations

from typing import Final

from psycopg import Connection

from functions.candle_aggregate.reconcile import stored_of_shard
from functions.candle_aggregate.rules import Rules
from shared.candle import CandleState
from shared.kernel import CandleKey, partial_candles, rolled_up
from shared.lake.cold import NO_LAKE, Cold
from shared.stores.applied import mark_aggregated, not_aggregated
from shared.stores.recompute import fold, stored_trades
from shared.stores.segments import events_of_range, last_tick_before

NEVER_US: Final = 2**63 - 1
"""For an instrument of another shard: all of its ticks are older than what was rebuilt here."""

_EVERY: Final = 1_000_000


def settle(
    snapshot: Connection,
    connection: Connection,
    shard: int,
    rules: Rules,
    begins: dict[str, int],
    cold: Cold = NO_LAKE,
) -> None:
    """Record what stands in the snapshot as aggregated: the state holds it by now, or the queue.

    `begins`: where the rebuilt state of each instrument begins (us).
    """
    waiting = [each.event_id for each in not_aggregated(snapshot, shard, NEVER_US // 1000, _EVERY)]
    longest = rules.ladder[-1]
    repairs: dict[tuple[CandleKey, str], None] = {}
    intervals: dict[tuple[str, int], str] = {}
    for event_id in waiting:
        for ticks in stored_of_shard(snapshot, event_id, rules.shards, shard):
            name = ticks.names[0]
            older = ticks.select(ticks.event_time_us < begins.get(name, NEVER_US))
            partials = partial_candles(older, rules.ladder[0])
            repairs |= dict.fromkeys((key, event_id) for key in rolled_up(partials, rules.ladder))
            for time_us in (ticks.event_time_us // longest.length_us * longest.length_us).tolist():
                intervals[name, time_us] = event_id
    for (name, start_us), event_id in intervals.items():
        begin_us = begins.get(name, NEVER_US)
        reached = events_of_range(snapshot, name, start_us, NEVER_US) - set(waiting)
        if reached:
            continue
        for key in _not_emitted(snapshot, rules, name, start_us, begin_us, cold):
            repairs[key, event_id] = None
    connection.cursor().executemany(
        "INSERT INTO repairs (instrument, timeframe, start_us, event_id)"
        " VALUES (%s, %s, %s, %s) ON CONFLICT DO NOTHING",
        [(*key, event_id) for key, event_id in repairs],
    )
    mark_aggregated(connection, shard, waiting)


def _not_emitted(
    snapshot: Connection, rules: Rules, name: str, start_us: int, begin_us: int, cold: Cold
) -> list[CandleKey]:
    """Return candles before the rebuilt state that only an event of this interval would close.

    Two intervals of them, since that is how much a state may have to emit that was just rebuilt.
    """
    longest = rules.ladder[-1]
    before_us = last_tick_before(snapshot, name, start_us)
    if before_us is None:
        return []
    first_us = longest.start_us(before_us) - longest.length_us
    last_us = min(begin_us, first_us + 2 * longest.length_us)
    found: dict[CandleKey, object] = {}
    if first_us < last_us:
        for batches in stored_trades(snapshot, name, first_us, last_us, cold):
            candles: dict[CandleKey, CandleState] = {}
            fold(candles, batches, rules.ladder)
            found |= candles
    return list(found)
