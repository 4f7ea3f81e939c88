"""Replace live closed candles by their stored versions.

Either may be ahead of the other: events wait to be stored, and events wait to be applied. A live
candle is replaced when both are known to have the same trades: all that had been applied when it
was looked at is stored, it has not changed since, and all that is stored of its time is applied.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
from psycopg import Connection

from functions.candle_aggregate.corrections.refold import equal
from functions.candle_aggregate.session import Session
from shared.candles.folds import Places
from shared.market.blocks import CLOSED
from shared.market.bounds import LATEST_US
from shared.market.timeframes import Timeframe
from shared.realtime.keys import Block
from shared.stores.applied import are_stored, not_aggregated

EVENTS_AT_ONCE: Final = 100_000
"""With more that are not recorded yet, live candles wait: ten minutes of 160 events a second."""
STORED_WITHIN_S: Final = 2.0

Place = tuple[str, int]
"""Instrument, and start (us) of a base candle."""


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
    base: Timeframe,
    names: Sequence[str],
    recomputed: Places,
    revisions: Mapping[Place, int],
    requested: set[tuple[str, str, int]],
) -> set[Place]:
    """Replace live candles by recomputed ones, if they differ or were requested.

    `revisions`: of the live candles when they were looked at. Returns the candles that have changed
    since; those stay as they are.
    """
    changed: set[Place] = set()
    for start_us in np.unique(recomputed.start_us).tolist():
        candles = recomputed.at(recomputed.start_us == start_us)
        block_names = [names[number] for number in candles.instrument.tolist()]
        block = Block(base.name, start_us)
        present, live = session.read(block, block_names)
        rows = {name: row for row, name in enumerate(present)}
        replaced = []
        for row, name in enumerate(block_names):
            place = name, start_us
            before = rows.get(name)
            if before is None or live.data["revision"][before] != revisions.get(place):
                changed.add(place)
                continue
            candles.records.data["flags"][row] |= live.data["flags"][before] & CLOSED
            is_requested = (name, base.name, start_us) in requested
            if is_requested or not equal(candles.records, row, live, before):
                replaced.append(row)
        replacements = candles.records.at(np.array(replaced, dtype=np.intp))
        above = replacements.data["revision"].copy()
        session.put(block, [block_names[row] for row in replaced], replacements, above=above)
    return changed
