"""A shard's live state made anew from Postgres: from stored candles, and the newest ticks.

What is recorded as aggregated is in the stored candles. So ticks are read only from the first
interval on that an event reaches which is not recorded (a minute or two); of the time before, each
instrument's open longer candles are folded from stored ones, level by level. Events that reach
back further are queued for repair, or left to be applied again.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from psycopg import Connection, IsolationLevel

from functions.candle_aggregate.engine import Turn
from functions.candle_aggregate.gaps import open_gaps
from functions.candle_aggregate.lineage import record, revision_floor_us
from functions.candle_aggregate.refold import nothing, same
from functions.candle_aggregate.rules import Rules
from shared.blocks import CLOSED, INCOMPLETE, PRICED
from shared.candle import Candle
from shared.folds import Places, flagged, merged, rolled_up, together
from shared.lake.cold import NO_LAKE, Cold
from shared.shards import shard_of
from shared.stores.applied import Stored, not_aggregated
from shared.stores.postgres import Postgres
from shared.stores.recompute import recomputed
from shared.stores.segments import ticks_of_shard_events
from shared.stores.stored_candles import folded, stored_candles
from shared.timeframes import Timeframe

log = logging.getLogger(__name__)

Int64s = NDArray[np.int64]

NEAR_US: Final = 600_000_000
"""Ticks of at most so long ago are read; older ones are repaired or applied again."""
EVERY: Final = 2**31 - 1
"""All events that are not recorded as aggregated."""
FAR_US: Final = 2**62
NEVER_US: Final = -(2**62)
AT_ONCE: Final = 2_000

_KNOWN: Final = "SELECT instrument, first_time_us, last_time_us FROM first_ticks"
_NEWEST: Final = """
    SELECT q.n, c.start_us, c.last_time_us, c.close FROM unnest(%s::text[])
        WITH ORDINALITY AS q (name, n)
    CROSS JOIN LATERAL (
        SELECT start_us, last_time_us, close FROM candles
        WHERE instrument = q.name AND timeframe = %s AND start_us < %s
        ORDER BY start_us DESC LIMIT 1
    ) AS c
"""
_QUEUE: Final = """
    INSERT INTO repairs (instrument, timeframe, start_us, event_id)
    SELECT * FROM unnest(%s::text[], %s::text[], %s::bigint[], %s::text[]) ON CONFLICT DO NOTHING
"""
_REDO: Final = "UPDATE repairs SET published_us = NULL WHERE instrument = ANY(%s)"


@dataclass(frozen=True, slots=True)
class _Plan:
    """What is known of a shard before it is built. Arrays by the number of the instrument.

    From `from_us` on ticks are read, up to `to_us`. `events`: those to be marked as applied.
    `newest_us`: not before the last tick, `base_us`: the start of the last stored base candle
    before `from_us`, NEVER_US without one; `close` and `last_us` are that candle's.
    """

    names: list[str]
    first_us: Int64s
    newest_us: Int64s
    base_us: Int64s
    last_us: Int64s
    close: list[str]
    from_us: int
    to_us: int
    events: list[Stored]


def rebuild(
    turn: Turn, postgres: Postgres, rules: Rules, now_us: int, cold: Cold = NO_LAKE
) -> None:
    """Make a shard's state anew, under the lease of the turn. Raises TransientError."""
    lineage = secrets.token_hex(8)
    with postgres.connection(isolation=IsolationLevel.REPEATABLE_READ) as connection:
        plan = _plan(connection, turn.shard, rules)
        revision_us = revision_floor_us(connection, turn.shard, now_us)
        repairs = list(_reaching_back(connection, turn.shard, rules, plan))
        with postgres.connection() as other:
            # Known before the state is: what is cut off in between is made anew.
            begin(other, turn.shard, lineage, now_us)
            columns = list(zip(*repairs, strict=True)) or [()] * 4
            other.execute(_QUEUE, [list(column) for column in columns])
            other.execute(_REDO, (plan.names,))
        turn.clear()
        turn.put_instruments(plan.names, _instruments(plan, rules))
        base = _live_base(connection, turn, rules, plan, cold)
        build = _Build(connection, turn, rules, plan, cold, revision_us)
        build.put(rules.ladder[0], base)
        for timeframe, folds in build.folds(base):
            build.put(timeframe, folds)
        turn.mark([event.event_id for event in plan.events], now_us // 1000)
    floor_us = int(rules.ladder[0].ends_us(rules.ladder[0].starts_us(plan.newest_us)).max(initial=0))
    turn.begin(lineage, floor_us)
    log.info(
        "live state of shard %d made anew: %d instruments, %d live base candles, %d events",
        *(turn.shard, len(plan.names), len(base), len(plan.events)),
    )


def _plan(connection: Connection, shard: int, rules: Rules) -> _Plan:
    base = rules.ladder[0]
    rows = [
        row for row in connection.execute(_KNOWN) if shard_of(row[0], rules.shards) == shard
    ]
    names = [row[0] for row in rows]
    events = not_aggregated(connection, shard, FAR_US, EVERY)
    near_us = max((event.last_us for event in events), default=0) - NEAR_US
    near = [event for event in events if event.last_us >= near_us]
    reached = [event.first_us for event in near if event.first_us >= near_us]
    from_us = base.start_us(min(reached)) if reached else FAR_US
    newest_us = np.array([row[2] + rules.coarse_us for row in rows], dtype=np.int64)
    stored = [_newest(connection, names, base, until_us) for until_us in (FAR_US, from_us)]
    for row, (_, last_us, _) in stored[0].items():
        newest_us[row] = last_us
    last = stored[1]
    to_us = max([*(event.last_us for event in near), int(newest_us.max(initial=0))]) + 1
    return _Plan(
        names,
        np.array([row[1] for row in rows], dtype=np.int64),
        newest_us,
        np.array([last[n][0] if n in last else NEVER_US for n in range(len(names))], np.int64),
        np.array([last[n][1] if n in last else NEVER_US for n in range(len(names))], np.int64),
        [last[n][2] if n in last else "" for n in range(len(names))],
        from_us,
        base.next_us(base.start_us(to_us)),
        [event for event in near if event.last_us >= from_us],
    )
