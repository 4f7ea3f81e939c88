"""Blocks leave the state once all of their candles are closed, stored and long untouched.

Of an instrument the one that ends first leaves first, so that "before its floor" means "not in the
state", and an instrument that is new here begins live whatever its time.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
from psycopg import Connection

from functions.candle_aggregate.engine import Engine
from functions.candle_aggregate.rules import Rules
from functions.candle_aggregate.session import Session
from shared.candles.trade_identity import MINUTE_US
from shared.market.blocks import CLOSED, PRICED
from shared.reading.stored_candles import stored_revisions
from shared.realtime.keys import Block
from shared.runtime import metrics
from shared.stores.postgres import Postgres


def evict(engine: Engine, postgres: Postgres, rules: Rules, shard: int, now_us: int) -> int:
    """Let blocks of a shard go; return how many candles left. Raises TransientError."""
    ended = engine.run(shard, lambda session: list(_ended(session, rules, now_us)))
    if not any(some.is_untouched for some in ended):
        return 0
    with postgres.connection() as connection:
        stored = {
            some.block: some.mark
            for some in ended
            if some.is_untouched and some.is_stored(connection)
        }
    if not stored:
        return 0
    left = engine.run(shard, lambda session: _let_go(session, rules, now_us, stored))
    metrics.CANDLES_EVICTED.inc(left)
    return left


class _Ended:
    """A block that has ended: all of its instruments, and its candles with their revisions.

    It may leave when it is untouched: closed, and last changed before a time.
    """

    def __init__(self, session: Session, block: Block, end_us: int, before_us: int) -> None:
        self.block, self.end_us = block, end_us
        self.names, records = session.read(block)
        changed_us = int(records.data["revision"].max(initial=0))
        self.is_untouched = bool(records.has(CLOSED).all()) and changed_us < before_us
        self.mark = len(records), changed_us
        priced = np.flatnonzero(records.has(PRICED))
        self._candles = [self.names[row] for row in priced.tolist()]
        self._revision_us = records.data["revision"][priced]

    def is_stored(self, connection: Connection) -> bool:
        """Tell whether Postgres has every candle at its revision."""
        stored = stored_revisions(connection, *self.block, self._candles)
        return bool((stored >= self._revision_us).all())


def _ended(session: Session, rules: Rules, now_us: int) -> Iterator[_Ended]:
    """Yield the blocks that ended before the keeping time, by their ends, the shorter first.

    Untouched are those in which all was applied before everything whose event may not be stored
    yet.
    """
    oldest_us = session.oldest_applied_us()
    keep_us = now_us - rules.keep_us
    before_us = keep_us if oldest_us is None else min(keep_us, oldest_us)
    blocks = sorted(
        (rules.timeframe(block.timeframe).next_us(block.start_us), -block.start_us, block)
        for block in session.blocks()
    )
    for end_us, _, block in blocks:
        if end_us > keep_us:  # it was closed after that
            break
        yield _Ended(session, block, end_us, before_us)


def _let_go(
    session: Session, rules: Rules, now_us: int, stored: Mapping[Block, tuple[int, int]]
) -> int:
    """Drop blocks that are as they are stored, raise the floors, and drop ids of trades."""
    stays: set[str] = set()
    floors_us: dict[str, int] = {}
    leaving: list[_Ended] = []
    for some in _ended(session, rules, now_us):
        if stored.get(some.block) != some.mark or not stays.isdisjoint(some.names):
            stays.update(some.names)
            continue
        leaving.append(some)
        floors_us |= dict.fromkeys(some.names, some.end_us)
    if not leaving:
        return 0
    session.drop([some.block for some in leaving])
    session.raise_floors(floors_us)
    gone = {some.block for some in leaving}
    base = [b for b in session.blocks() if b.timeframe == rules.base.name and b not in gone]
    live = {
        minute
        for block in base
        for minute in range(
            block.start_us // MINUTE_US, -(-rules.base.next_us(block.start_us) // MINUTE_US)
        )
    }
    session.drop_seen([minute for minute in session.minutes() if minute not in live])
    return sum(len(some.names) for some in leaving)
