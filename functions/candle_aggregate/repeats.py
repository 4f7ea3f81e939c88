"""Trades that were sent with more than one content: the first in the total order is to count.

The fast path keeps which trades were counted, not what they said, so there whichever came first
counts. Events that repeated trades are compared with what is stored; where a trade stands there
with another content, its candles are queued for repair.
"""

from __future__ import annotations

from collections.abc import Sequence

from psycopg import Connection

from functions.candle_aggregate.rules import Rules
from functions.candle_aggregate.seen import trades_by_block
from shared.lake.cold import NO_LAKE, Cold
from shared.repetitions import MINUTE_US, contradictions
from shared.stores.segments import ticks_of_event, ticks_of_range

_QUEUE = """
    INSERT INTO repairs (instrument, timeframe, start_us, event_id, reason)
    VALUES (%s, %s, %s, %s, 'repeated') ON CONFLICT (instrument, timeframe, start_us, event_id)
    DO UPDATE SET reason = excluded.reason
"""


def compare(
    connection: Connection, rules: Rules, event_ids: Sequence[str], cold: Cold = NO_LAKE
) -> int:
    """Queue the candles of contradictory trades in the minutes of these events; return how many."""
    times: dict[tuple[str, int], list[int]] = {}
    repairs: dict[tuple[str, str, int, str], None] = {}
    for event_id in event_ids:
        places = {
            block[:2]
            for ticks in ticks_of_event(connection, event_id)
            for block in trades_by_block(ticks)
        }
        for name, minute in places:
            if (name, minute) not in times:
                some = ticks_of_range(
                    connection, name, minute * MINUTE_US, (minute + 1) * MINUTE_US, cold
                )
                times[name, minute] = list(contradictions(list(some)))
            for time_us in times[name, minute]:
                for timeframe in rules.ladder:
                    start_us = timeframe.start_us(time_us)
                    repairs[name, timeframe.name, start_us, event_id] = None
    connection.cursor().executemany(_QUEUE, list(repairs))
    return len(repairs)
