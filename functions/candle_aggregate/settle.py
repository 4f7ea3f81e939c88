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
from shared.stores.recompute import fold, stored_trades

NEVER_US: Final = 2**63 - 1
"""For an instrument of another shard: all of its ticks are older than what was rebuilt here."""

_REACHED: Final = """
    SELECT EXISTS (
        SELECT FROM tick_segments JOIN applied_events USING (event_id)
        WHERE instrument = %s AND last_time_us >= %s AND cardinality(shards) = 0
    )
"""
_LAST_BEFORE: Final = """
    SELECT greatest(
        (SELECT max(last_time_us) FROM tick_segments
         WHERE instrument = %(name)s AND last_time_us < %(start)s),
        (SELECT max(t) FROM tick_segments, unnest(event_time_us) AS t
         WHERE instrument = %(name)s AND first_time_us < %(start)s AND last_time_us >= %(start)s
         AND t < %(start)s)
    )
"""


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
    rows = snapshot.execute(
        "SELECT event_id FROM applied_events WHERE cardinality(shards) > 0 AND %s = ANY(shards)",
        (shard,),
    ).fetchall()
    longest = rules.ladder[-1]
    repairs: dict[tuple[CandleKey, str], None] = {}
    intervals: dict[tuple[str, int], str] = {}
    for (event_id,) in rows:
        for ticks in stored_of_shard(snapshot, event_id, rules.shards, shard):
            name = ticks.names[0]
            older = ticks.select(ticks.event_time_us < begins.get(name, NEVER_US))
            partials = partial_candles(older, rules.ladder[0])
            repairs |= dict.fromkeys((key, event_id) for key in rolled_up(partials, rules.ladder))
            for time_us in (ticks.event_time_us // longest.length_us * longest.length_us).tolist():
                intervals[name, time_us] = event_id
    for (name, start_us), event_id in intervals.items():
        begin_us = begins.get(name, NEVER_US)
        for key in _not_emitted(snapshot, rules, name, start_us, begin_us, cold):
            repairs[key, event_id] = None
    connection.cursor().executemany(
        "INSERT INTO repairs (instrument, timeframe, start_us, event_id)"
        " VALUES (%s, %s, %s, %s) ON CONFLICT DO NOTHING",
        [(*key, event_id) for key, event_id in repairs],
    )
    connection.execute(
        "UPDATE applied_events SET shards = array_remove(shards, %s) WHERE event_id = ANY(%s)",
        (shard, [row[0] for row in rows]),
    )


def _not_emitted(
    snapshot: Connection, rules: Rules, name: str, start_us: int, begin_us: int, cold: Cold
) -> list[CandleKey]:
    """Return candles before the rebuilt state that only an event of this interval would close.

    Two intervals of them, since that is how much a state may have to emit that was just rebuilt.
    """
    longest = rules.ladder[-1]
    if (row := snapshot.execute(_REACHED, (name, start_us)).fetchone()) and row[0]:
        return []
    row = snapshot.execute(_LAST_BEFORE, {"name": name, "start": start_us}).fetchone()
    if row is None or row[0] is None:
        return []
    first_us = longest.start_us(row[0]) - longest.length_us
    last_us = min(begin_us, first_us + 2 * longest.length_us)
    found: dict[CandleKey, object] = {}
    if first_us < last_us:
        for batches in stored_trades(snapshot, name, first_us, last_us, cold):
            candles: dict[CandleKey, CandleState] = {}
            fold(candles, batches, rules.ladder)
            found |= candles
    return list(found)
