"""Replace live closed candles by their stored versions.

Either may be ahead of the other: events wait to be stored, and events wait to be applied. A live
candle is replaced when both are known to have the same trades: all that had been applied when it
was looked at is stored, it has not changed since, and all that is stored of its time is applied.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence, Set
from typing import Final

import numpy as np
from psycopg import Connection

from functions.candle_aggregate.corrections.cancelled import CandleStart
from functions.candle_aggregate.corrections.refold import put_changed
from functions.candle_aggregate.session import Session
from shared.candles.folds import KeyedRecords
from shared.market.bounds import LATEST_US
from shared.market.timeframes import Timeframe
from shared.realtime.keys import Block
from shared.stores.applied import are_stored, not_aggregated
from shared.wire.candle import CandleKey

EVENTS_AT_ONCE: Final = 100_000
"""With more that are not recorded yet, live candles wait: ten minutes of 160 events a second."""
STORED_WITHIN_S: Final = 2.0


def wait_until_stored(connection: Connection, event_ids: Sequence[str]) -> bool:
    """Wait a short time for events to be stored, and tell whether they are."""
    until_s = time.monotonic() + STORED_WITHIN_S
    missing = set(event_ids)
    while missing and len(event_ids) < EVENTS_AT_ONCE:
        missing -= are_stored(connection, sorted(missing))
        if missing and time.monotonic() > until_s:
            return False
        if missing:
            time.sleep(0.05)
    return not missing


def unsure(
    connection: Connection, shard: int, base: Timeframe, starts: Sequence[int]
) -> list[str] | None:
    """Return the stored events of some base candles' time that the state may lack.

    None: too many to tell.
    """
    events = not_aggregated(connection, shard, LATEST_US, EVENTS_AT_ONCE)
    if len(events) >= EVENTS_AT_ONCE:
        return None
    return [
        event.event_id
        for event in events
        if any(event.first_us < base.next_us(at) and at <= event.last_us for at in starts)
    ]


def replace_live(
    session: Session,
    names: Sequence[str],
    recomputed: KeyedRecords,
    revisions: Mapping[CandleStart, int],
    requested: Set[CandleKey],
) -> set[CandleStart]:
    """Replace live candles by recomputed ones, if they differ or were requested.

    `revisions`: of the live candles when they were looked at. Returns the candles that have changed
    since; those stay as they are.
    """
    changed: set[CandleStart] = set()
    for start_us in np.unique(recomputed.start_us).tolist():
        candles = recomputed.at(recomputed.start_us == start_us)
        block = Block(session.rules.base.name, start_us)
        block_names = [name for name, _ in candles.keys(names)]
        present, live = session.read(block, block_names)
        live_revisions = dict(zip(present, live.data["revision"].tolist(), strict=True))
        is_same = [
            name in live_revisions and live_revisions[name] == revisions.get((name, start_us))
            for name in block_names
        ]
        same_names = [name for name, same in zip(block_names, is_same, strict=True) if same]
        changed |= {(name, start_us) for name in {*block_names} - {*same_names}}
        records = candles.records.at(np.array(is_same))
        put_changed(session, block, same_names, records, (present, live), requested)
    return changed
