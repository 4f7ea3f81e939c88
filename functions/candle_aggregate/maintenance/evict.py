"""Eviction: blocks leave Redis once all of their candles are closed, stored and idle.

Of an instrument the one that ends first leaves first, so that "before its floor" means "not in the
state", and an instrument that is new here begins live whatever its time. Which blocks may leave is
looked up beside the steps; some at a time leave under the lease, where they are as they were.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Final

import numpy as np
from numpy.typing import NDArray
from psycopg import Connection

from functions.candle_aggregate.engine import Engine
from functions.candle_aggregate.rules import Rules
from functions.candle_aggregate.session import Session
from functions.candle_aggregate.steps.store import Store
from shared.candles.trade_identity import MINUTE_US
from shared.market.blocks import CLOSED, PRICED, Records
from shared.reading.stored_candles import stored_revisions
from shared.realtime.keys import Block, Keys
from shared.runtime import metrics
from shared.stores.postgres import Postgres

READ_AT_ONCE: Final = 64
LEAVE_AT_ONCE: Final = 128
"""Bounds the wait of a step to milliseconds, however much history the state has."""
EVICT_FOR_S: Final = 1.0
"""So that repairs do not wait for the history of a year; the next round goes on."""


_Place = tuple[int, int, Block]
"""Sort key of a block for eviction: by its end, the shorter first."""


class _Whole:
    """A block as it was read: its instruments, and its priced candles with their revisions."""

    def __init__(self, place: _Place, stored: Mapping[bytes, bytes]) -> None:
        self.place = place
        self.end_us, _, self.block = place
        self.names = [name.decode() for name in stored]
        records = Records.decode(list(stored.values()))
        self.is_closed = bool(records.has(CLOSED).all())
        self.mark = _mark(records)
        _, self.changed_us = self.mark
        priced = np.flatnonzero(records.has(PRICED))
        self._candles = [self.names[row] for row in priced.tolist()]
        self._revision_us: NDArray[np.int64] = records.data["revision"][priced]

    def is_stored(self, connection: Connection) -> bool:
        """Tell whether Postgres has every candle at its revision."""
        stored = stored_revisions(connection, *self.block, self._candles)
        return bool((stored >= self._revision_us).all())


@dataclass(slots=True)
class _Scan:
    """Scan of a shard in the order of leaving: blocks that may leave next, and those that stay."""

    known: set[Block]
    """The blocks that were there when it began, without those that have left."""
    due_us: int
    leaving: list[_Whole] = field(default_factory=list)
    staying: dict[Block, int] = field(default_factory=dict)
    """How many instruments each has."""


@dataclass(slots=True)
class Eviction:
    """Lets blocks leave, and remembers of each shard when the next one can be due."""

    postgres: Postgres
    rules: Rules
    _due_us: dict[int, int] = field(default_factory=dict)

    def evict(self, engine: Engine, shard: int) -> int:
        """Evict blocks of a shard for EVICT_FOR_S; return how many candles left.

        Raises TransientError.
        """
        now_us = engine.clock()
        if now_us < self._due_us.get(shard, 0) <= now_us + self.rules.keep_us:
            return 0
        evicted, until_s = 0, time.monotonic() + EVICT_FOR_S
        with self.postgres.connection() as connection:
            for scan in self._scan(engine.store, connection, shard, now_us):
                if scan.leaving:
                    count = engine.run(shard, partial(_let_go, scan))
                    if not count:  # it was changed meanwhile: a later round looks again
                        break
                    evicted += count
                if len(scan.leaving) < LEAVE_AT_ONCE:
                    self._due_us[shard] = scan.due_us
                elif time.monotonic() >= until_s:
                    break
        if evicted:
            engine.run(shard, _drop_seen)
        metrics.CANDLES_EVICTED.inc(evicted)
        return evicted

    def _scan(
        self, store: Store, connection: Connection, shard: int, now_us: int
    ) -> Iterator[_Scan]:
        """Look for blocks that may leave: ended before the keeping time, closed, and stored.

        In them all was applied before that time, and before everything whose event may not be
        stored yet. A change as far in the future was before the clock was set back. Yields the scan
        whenever LEAVE_AT_ONCE may leave, and at its end.
        """
        keys, keep_us = Keys(shard), self.rules.keep_us
        oldest_ms = store.lowest_score(keys.applied)
        blocks = [Block.of(name) for name in store.read_whole([keys.blocks])[0]]
        # No change that is still to come is due earlier.
        scan = _Scan(set(blocks), now_us + keep_us)
        stays: set[str] = set()
        for candidate in _read(store, keys, sorted(_place(self.rules, block) for block in blocks)):
            changed_us = candidate.changed_us
            settled_us = candidate.end_us
            if changed_us < now_us + keep_us:
                settled_us = max(settled_us, changed_us)
            if (
                candidate.is_closed
                and settled_us <= now_us - keep_us
                and (oldest_ms is None or changed_us < oldest_ms * 1000)
                and stays.isdisjoint(candidate.names)
                and candidate.is_stored(connection)
            ):
                scan.leaving.append(candidate)
                if len(scan.leaving) == LEAVE_AT_ONCE:
                    yield scan
                    scan.known.difference_update(each.block for each in scan.leaving)
                    scan.leaving = []
            else:
                stays.update(candidate.names)
                scan.staying[candidate.block] = len(candidate.names)
                if candidate.is_closed:
                    scan.due_us = min(scan.due_us, settled_us + keep_us)
        yield scan


def _place(rules: Rules, block: Block) -> _Place:
    end_us = rules.timeframe(block.timeframe).next_us(block.start_us)
    return end_us, -block.start_us, block


def _read(store: Store, keys: Keys, places: Sequence[_Place]) -> Iterator[_Whole]:
    for first in range(0, len(places), READ_AT_ONCE):
        batch = places[first : first + READ_AT_ONCE]
        stored = store.read_whole([keys.block(block) for *_, block in batch])
        for place, blobs in zip(batch, stored, strict=True):
            yield _Whole(place, blobs)


def _let_go(scan: _Scan, session: Session) -> int:
    """Drop blocks, and raise the floors; return how many candles left.

    Nothing leaves where something else is there than was seen: a block, a candle, an instrument.
    """
    leaving_blocks = [leaving.block for leaving in scan.leaving]
    last, rules, known = scan.leaving[-1].place, session.rules, scan.known
    before = {block: n for block, n in scan.staying.items() if _place(rules, block) < last}
    is_as_seen = (
        all(_place(rules, block) > last for block in session.lease.blocks.keys() - known)
        and session.sizes(list(before)) == list(before.values())
        and all(
            _mark(records) == leaving.mark
            for leaving, (_, records) in zip(
                scan.leaving, session.read_all(leaving_blocks), strict=True
            )
        )
    )
    if not is_as_seen:
        return 0
    session.drop(leaving_blocks)
    session.raise_floors(
        {name: leaving.end_us for leaving in scan.leaving for name in leaving.names}
    )
    return sum(len(leaving.names) for leaving in scan.leaving)


def _drop_seen(session: Session) -> None:
    """Drop the ids of trades of minutes that no block is left of."""
    base = session.rules.base
    live = {
        minute
        for block in session.blocks()
        if block.timeframe == base.name
        for minute in range(
            block.start_us // MINUTE_US, -(-base.next_us(block.start_us) // MINUTE_US)
        )
    }
    session.drop_seen([minute for minute in session.minutes() if minute not in live])


def _mark(records: Records) -> tuple[int, int]:
    """Return how many candles there are, and when the last of them changed."""
    return len(records), int(records.data["revision"].max(initial=0))
