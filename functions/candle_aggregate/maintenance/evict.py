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
"""So that a step waits for milliseconds, whatever history the state has taken in."""
EVICT_FOR_S: Final = 1.0
"""So that repairs do not wait for the history of a year; the next round goes on."""


_Place = tuple[int, int, Block]
"""Where a block stands in the order of leaving: by its end, the shorter first."""


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
class _Look:
    """Scan of a shard: blocks that may be evicted, and earlier ones that stay."""

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

    def evict(self, engine: Engine, shard: int, now_us: int) -> int:
        """Let blocks of a shard go for a while; return how many candles left.

        Raises TransientError.
        """
        left, until_s = 0, time.monotonic() + EVICT_FOR_S
        while now_us >= self._due_us.get(shard, 0):
            look = self._look(engine.store, shard, now_us)
            if look.leaving:
                gone = engine.run(shard, partial(_let_go, look, self.rules))
                if not gone:  # it was changed meanwhile: a later round looks again
                    break
                left += gone
            if len(look.leaving) < LEAVE_AT_ONCE:
                self._due_us[shard] = look.due_us
                break
            if time.monotonic() >= until_s:
                break
        metrics.CANDLES_EVICTED.inc(left)
        return left

    def _look(self, store: Store, shard: int, now_us: int) -> _Look:
        """Look for blocks that may leave: ended before the keeping time, closed, and stored.

        In them all was applied before that time, and before everything whose event may not be
        stored yet.
        """
        keys, keep_us = Keys(shard), now_us - self.rules.keep_us
        oldest_ms = store.lowest_score(keys.applied)
        before_us = keep_us if oldest_ms is None else min(keep_us, oldest_ms * 1000)
        look = _Look(now_us + self.rules.keep_us)  # no change that is still to come is due earlier
        names = store.read_whole([keys.blocks])[0]
        places = sorted(_place(self.rules, Block.of(name)) for name in names)
        stays: set[str] = set()
        with self.postgres.connection() as connection:
            for some in _read(store, keys, places):
                if (
                    some.is_closed
                    and some.end_us <= keep_us
                    and some.changed_us < before_us
                    and stays.isdisjoint(some.names)
                    and some.is_stored(connection)
                ):
                    look.leaving.append(some)
                    if len(look.leaving) == LEAVE_AT_ONCE:
                        break
                else:
                    stays.update(some.names)
                    look.staying[some.block] = len(some.names)
                    if some.is_closed:
                        settled_us = max(some.end_us, some.changed_us)
                        look.due_us = min(look.due_us, settled_us + self.rules.keep_us)
        return look


def _place(rules: Rules, block: Block) -> _Place:
    end_us = rules.timeframe(block.timeframe).next_us(block.start_us)
    return end_us, -block.start_us, block


def _read(store: Store, keys: Keys, places: Sequence[_Place]) -> Iterator[_Whole]:
    for first in range(0, len(places), READ_AT_ONCE):
        some = places[first : first + READ_AT_ONCE]
        stored = store.read_whole([keys.block(block) for *_, block in some])
        for place, whole in zip(some, stored, strict=True):
            yield _Whole(place, whole)


def _let_go(look: _Look, rules: Rules, session: Session) -> int:
    """Drop blocks, raise the floors, and drop ids of trades; return how many candles left.

    Nothing leaves where something else is there than was seen: a block, a candle, an instrument.
    """
    gone = {some.block for some in look.leaving}
    last = look.leaving[-1].place
    before = {block: n for block, n in look.staying.items() if _place(rules, block) < last}
    seen = before.keys() | gone
    is_as_seen = (
        all(b in seen for b in session.blocks() if _place(rules, b) < last)
        and session.sizes(list(before)) == list(before.values())
        and all(
            _mark(records) == some.mark
            for some, (_, records) in zip(
                look.leaving, session.read_all([some.block for some in look.leaving]), strict=True
            )
        )
    )
    if not is_as_seen:
        return 0
    session.drop(gone)
    session.raise_floors({name: some.end_us for some in look.leaving for name in some.names})
    live = {
        minute
        for block in session.blocks()
        if block.timeframe == rules.base.name and block not in gone
        for minute in range(
            block.start_us // MINUTE_US, -(-rules.base.next_us(block.start_us) // MINUTE_US)
        )
    }
    session.drop_seen([minute for minute in session.minutes() if minute not in live])
    return sum(len(some.names) for some in look.leaving)


def _mark(records: Records) -> tuple[int, int]:
    """Return how many candles there are, and when the last of them changed."""
    return len(records), int(records.data["revision"].max(initial=0))
