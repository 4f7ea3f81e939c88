"""Sample audit: stored and live candles of every timeframe compared with their inputs.

A base candle is held against its stored ticks, a longer one against its base candles.
"""

from __future__ import annotations

import logging
import random
from typing import Final

import numpy as np
from psycopg import Connection

from functions.candle_aggregate.corrections.gaps import mark_incomplete
from functions.candle_aggregate.corrections.refold import live_candles, same
from functions.candle_aggregate.job_context import JobContext
from functions.candle_aggregate.rules import Rules
from functions.candle_aggregate.session import Session
from shared.candles.folds import KeyedRecords, flagged, merged, rolled_up
from shared.market.blocks import CLOSED
from shared.market.shards import shard_of
from shared.reading.recompute import priced, recomputed
from shared.reading.stored_candles import Ranges, folded, stored_candles
from shared.realtime.keys import Block
from shared.runtime import metrics
from shared.stores.applied import not_aggregated
from shared.stores.first_ticks import beginnings, first_ticks
from shared.wire.candle import VENUE, Candle, CandleKey
from shared.wire.candle_columns import CandleColumns

log = logging.getLogger(__name__)

AT_ONCE: Final = 8
SETTLED_US: Final = 120_000_000
"""A candle that was changed more recently may have ticks that are not stored, or not reconciled."""

_INSTRUMENTS: Final = """
    SELECT instrument, first_time_us, last_time_us FROM first_ticks ORDER BY random() LIMIT %s
"""
_CHOSEN: Final = """
    SELECT start_us FROM candles WHERE instrument = %s AND timeframe = %s AND start_us >= %s
    ORDER BY start_us LIMIT 1
"""
_QUEUED: Final = "SELECT EXISTS (SELECT FROM repairs WHERE instrument = %s)"


def sample(context: JobContext) -> list[CandleKey]:
    """Evaluate some candles; return those that differ. Raises TransientError.

    A difference is logged and counted (`kandle_candles_differ_total`): it must never happen.
    """
    differing = []
    with context.postgres.connection() as connection:
        for key in _chosen(connection, context.rules):
            audit = _Audit(context, connection, key)
            if not audit.is_settled():
                continue
            metrics.CANDLES_SAMPLED.inc()
            actual, expected = audit.actual, audit.expected()
            if actual is None or _agree(actual, expected):
                continue
            if audit.is_unchanged():
                log.error("candle %s is %s, should be %s", key, actual, expected)
                metrics.CANDLES_DIFFER.inc()
                differing.append(key)
    return differing


def _agree(actual: Candle, expected: Candle | None) -> bool:
    if not actual.trade_count:  # its trades were cancelled
        return expected is None
    return expected is not None and same(actual, expected)


def _chosen(connection: Connection, rules: Rules) -> list[CandleKey]:
    """Choose stored candles by chance: an instrument, a timeframe and a time."""
    keys = []
    for name, first_us, last_us in connection.execute(_INSTRUMENTS, (AT_ONCE,)).fetchall():
        timeframe = random.choice(rules.ladder)  # noqa: S311
        time_us = random.randint(timeframe.start_us(first_us), max(first_us, last_us))  # noqa: S311
        row = connection.execute(_CHOSEN, (name, timeframe.name, timeframe.start_us(time_us)))
        for (start_us,) in row.fetchall():
            keys.append((name, timeframe.name, start_us))
    return keys


class _Audit:
    """A candle as stored or live, and its expected value."""

    def __init__(self, context: JobContext, connection: Connection, key: CandleKey) -> None:
        self._context, self._connection, self._cold = context, connection, context.cold
        self._rules = rules = context.rules
        self._name, timeframe, self._start_us = key
        self._timeframe = rules.timeframe(timeframe)
        self._shard = shard_of(self._name, rules.shards)
        self._live, self._oldest_us = context.engine.run(self._shard, self._look)
        self.actual = self._read()

    def is_settled(self) -> bool:
        """Tell whether all that was applied to it is stored, and nothing is about to change it.

        What the venue published is made of nothing that is here.
        """
        actual = self.actual
        if actual is None or not actual.closed or actual.origin == VENUE:
            return False
        if abs(self._context.now_us() - actual.revision) < SETTLED_US:  # the clock may go back
            return False
        if self._oldest_us is not None and self._oldest_us <= actual.revision:
            return False
        end_us = self._timeframe.next_us(self._start_us)
        events = not_aggregated(self._connection, self._shard, 2**62, 2**31 - 1)
        if any(each.first_us < end_us and each.last_us >= self._start_us for each in events):
            return False
        queued = self._connection.execute(_QUEUED, (self._name,)).fetchone()
        return not (queued and queued[0])

    def expected(self) -> Candle | None:
        """Return what it should be."""
        start_us, end_us = self._start_us, self._timeframe.next_us(self._start_us)
        base, names = self._rules.base, [self._name]
        if self._timeframe == base:
            parts = recomputed(self._connection, names, start_us, end_us, base, self._cold)
            candles = priced(KeyedRecords.of(parts))
        else:
            without = [(self._name, each) for each in self._live.start_us.tolist()]
            ranges = Ranges(base.name, names, [start_us], [end_us])
            stored = folded(self._connection, ranges, without, self._cold)
            closed = self._live.at(self._live.records.has(CLOSED))
            live = rolled_up(closed, self._timeframe)
            live = live.at(live.start_us == start_us)
            candles = merged(KeyedRecords.of([stored, live]))
        since = first_ticks if self._timeframe == base else beginnings
        flagged(candles, self._timeframe, since(self._connection, names)[candles.instrument])
        if self._timeframe == base:
            mark_incomplete(self._connection, base, names, candles)
        return next(candles.columns(self._timeframe.name, names).candles(), None)

    def is_unchanged(self) -> bool:
        """Tell whether it still is what it was."""
        self._live, _ = self._context.engine.run(self._shard, self._look)
        return self._read() == self.actual

    def _look(self, session: Session) -> tuple[KeyedRecords, int | None]:
        """Return the instrument's live base candles, and when the oldest open event was applied."""
        block = Block(self._timeframe.name, self._start_us)
        _, self._record = session.read(block, [self._name])
        return live_candles(session, [self._name]), session.oldest_applied_us()

    def _read(self) -> Candle | None:
        """Return the candle of the highest revision, live or stored."""
        names, starts = [self._name], [self._start_us]
        stored = stored_candles(self._connection, self._timeframe.name, names, starts, self._cold)
        live = CandleColumns(
            *(self._timeframe.name, names[: len(self._record)]),
            np.array(starts[: len(self._record)], dtype=np.int64),
            self._record,
        )
        versions = [*stored.candles(), *live.candles()]
        return max(versions, key=lambda candle: candle.revision, default=None)
