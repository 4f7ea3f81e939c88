"""Blocks leave the state once all of their candles are closed, stored and long untouched.

The oldest first and without a hole, so that "before the floor" means "not in the state".
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from psycopg import Connection

from functions.candle_aggregate.engine import Engine
from functions.candle_aggregate.rules import Rules
from functions.candle_aggregate.session import Session
from shared import metrics
from shared.blocks import CLOSED, PRICED
from shared.live_keys import Block
from shared.repetitions import MINUTE_US
from shared.stores.postgres import Postgres
from shared.stores.stored_candles import stored_revisions


def evict(engine: Engine, postgres: Postgres, rules: Rules, shard: int, now_us: int) -> int:
    """Let blocks of a shard go; return how many candles left. Raises TransientError."""
    untouched = engine.run(shard, lambda session: _untouched(session, rules, now_us))
    if not untouched:
        return 0
    with postgres.connection() as connection:
        leaving = _stored(connection, rules, untouched)
    if not leaving:
        return 0
    left = engine.run(shard, lambda session: _let_go(session, rules, leaving))
    metrics.CANDLES_EVICTED.inc(left)
    return left


class _Untouched:
    """A block that may leave when it is stored: instruments and revisions of its candles."""

    def __init__(self, session: Session, block: Block) -> None:
        self.block = block
        names, records = session.read(block)
        self.size = len(records)
        self.is_closed = bool(records.has(CLOSED).all())
        self.changed_us = int(records.data["revision"].max(initial=0))
        priced = np.flatnonzero(records.has(PRICED))
        self.names = [names[row] for row in priced.tolist()]
        self.revision_us = records.data["revision"][priced]

    def is_stored(self, connection: Connection) -> bool:
        """Tell whether Postgres has every candle at its revision."""
        stored = stored_revisions(connection, *self.block, self.names)
        return bool((stored >= self.revision_us).all())


def _untouched(session: Session, rules: Rules, now_us: int) -> list[_Untouched]:
    """Return base blocks from the oldest on that nothing has changed for long, and their folds.

    What is in them was applied before everything whose event may not be stored yet.
    """
    oldest_us = session.oldest_applied_us()
    before_us = now_us - rules.keep_us
    if oldest_us is not None:
        before_us = min(before_us, oldest_us)
    found = []
    blocks = session.blocks()
    for block in (each for each in blocks if each.timeframe == rules.base.name):
        some = _Untouched(session, block)
        if not some.is_closed or some.changed_us >= before_us:
            break
        found.append(some)
    if found:
        floor_us = rules.base.next_us(found[-1].block.start_us)
        for block in blocks:
            timeframe = rules.timeframe(block.timeframe)
            if timeframe != rules.base and timeframe.next_us(block.start_us) <= floor_us:
                some = _Untouched(session, block)
                if some.is_closed and some.changed_us < before_us:
                    found.append(some)
    return found


def _stored(
    connection: Connection, rules: Rules, untouched: Sequence[_Untouched]
) -> list[_Untouched]:
    """Return those that are stored: base blocks from the first on, and folds that end by them."""
    leaving: list[_Untouched] = []
    base = [each for each in untouched if each.block.timeframe == rules.base.name]
    for some in base:
        if not some.is_stored(connection):
            break
        leaving.append(some)
    if not leaving:
        return []
    floor_us = rules.base.next_us(leaving[-1].block.start_us)
    for some in untouched[len(base) :]:
        timeframe = rules.timeframe(some.block.timeframe)
        if timeframe.next_us(some.block.start_us) <= floor_us and some.is_stored(connection):
            leaving.append(some)
    return leaving


def _let_go(session: Session, rules: Rules, leaving: Sequence[_Untouched]) -> int:
    """Drop blocks that are as they were, raise the floor, and drop the ids before it."""
    for some in leaving:
        now = _Untouched(session, some.block)
        if (now.size, now.changed_us) != (some.size, some.changed_us):
            return 0
    floor_us = max(
        rules.base.next_us(some.block.start_us)
        for some in leaving
        if some.block.timeframe == rules.base.name
    )
    session.drop([some.block for some in leaving])
    session.raise_floor(floor_us)
    session.drop_seen([each for each in session.minutes() if (each + 1) * MINUTE_US <= floor_us])
    return sum(some.size for some in leaving)
