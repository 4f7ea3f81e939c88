"""A live candle replaced by what its stored ticks come to, where the two are of the same trades."""

from __future__ import annotations

from typing import Final

from psycopg import Connection

from functions.candle_aggregate.merge import put_candle, revised
from functions.candle_aggregate.rules import Rules
from functions.candle_aggregate.store import Step, Store
from shared.candle import CandleState
from shared.kernel import CandleKey
from shared.state import end_us

_NOT_AGGREGATED: Final = """
    SELECT event_id FROM unaggregated WHERE shard = %s AND first_us < %s AND last_us >= %s
"""
_STORED_REVISION: Final = (
    "SELECT revision FROM candles WHERE instrument = %s AND timeframe = %s AND start_us = %s"
)


def replace_live(
    store: Store,
    connection: Connection,
    rules: Rules,
    key: CandleKey,
    found: CandleState | None,
    now_us: int,
    *,
    anew: bool,
) -> bool:
    """Let a live candle be what `found`, just recomputed from stored ticks, says; tell if it is.

    `anew`: under a new revision even when it is equal, above the one that is stored. Only when all
    events that are stored are applied (markers), and all that were applied are stored (as many
    trades): until then either may be ahead. Raises TransientError.
    """
    _, timeframe_name, start_us = key
    ends_us = end_us(rules.timeframe(timeframe_name), start_us)
    rows = connection.execute(_NOT_AGGREGATED, (store.keys.shard, ends_us, start_us)).fetchall()
    if not all(store.are_applied([row[0] for row in rows])):
        return False
    redis_key = store.keys.candle(*key)
    read = store.read([redis_key])[redis_key]
    epoch = store.epoch()
    if read.value is None or found is None or epoch is None:
        return False
    present = CandleState.decode(read.value)
    if present.bar.trade_count != found.bar.trade_count:
        return False
    if present.bar == found.bar and not anew:
        return True
    row = connection.execute(_STORED_REVISION, key).fetchone()
    version = max(read.number, row[0] if row else 0)
    state = revised(present.with_bar(found.bar), version, epoch, now_us, closed=present.closed)
    step = Step()
    put_candle(store, step, rules, redis_key, read, state)
    return store.apply(step, epoch) == "ok"
