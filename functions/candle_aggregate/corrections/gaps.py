"""Completeness: candles that touch an open gap of their feed are incomplete until it is filled.

Postgres has the gaps. Live base candles are judged here, each second; stored ones are queued for
repair, once for each change of a gap. A longer candle is complete where its base candles are.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence, Set
from itertools import compress
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from psycopg import Connection

from functions.candle_aggregate.corrections.cancelled import CandleStart
from functions.candle_aggregate.corrections.refold import (
    LiveView,
    Refold,
    live_base,
    view_live,
)
from functions.candle_aggregate.job_context import JobContext
from functions.candle_aggregate.session import Session
from shared.adapter.app import Emission
from shared.candles.folds import KeyedRecords
from shared.market.blocks import INCOMPLETE, Records
from shared.market.shards import shard_of
from shared.market.timeframes import Timeframe
from shared.realtime.keys import Block
from shared.wire.gaps import touches

_OPEN: Final = """
    SELECT instrument, from_us, to_us FROM gaps WHERE state = 'open' AND instrument = ANY(%s)
"""
_QUEUE: Final = """
    WITH fresh AS (
        UPDATE gaps SET queued = true WHERE NOT queued RETURNING instrument, from_us, to_us
    )
    INSERT INTO repairs (instrument, timeframe, start_us, event_id, reason)
    SELECT DISTINCT c.instrument, '', c.start_us, '', 'flag' FROM fresh f JOIN candles c
        ON c.instrument = f.instrument AND c.timeframe = %s
        AND c.start_us > f.from_us - %s AND c.start_us <= f.to_us
    ON CONFLICT DO NOTHING
"""
_UNJUDGED: Final = """
    SELECT feed, symbol, first_id, last_id, instrument, from_us, to_us, state FROM gaps
    WHERE NOT judged
"""
_JUDGED: Final = """
    UPDATE gaps SET judged = true
    FROM unnest(%s::text[], %s::text[], %s::bigint[], %s::bigint[], %s::text[])
        AS q (feed, symbol, first_id, last_id, state)
    WHERE gaps.feed = q.feed AND gaps.symbol = q.symbol AND gaps.first_id = q.first_id
        AND gaps.last_id = q.last_id AND gaps.state = q.state
"""


class _Gap(NamedTuple):
    feed: str
    symbol: str
    first_id: int
    last_id: int
    instrument: str
    from_us: int
    to_us: int
    state: str


class Spans:
    """Open gaps by instrument: event times of the last trade before and the first one after."""

    def __init__(self, rows: Sequence[tuple[str, int, int]]) -> None:
        self._by_instrument: dict[str, list[tuple[int, int]]] = defaultdict(list)
        for name, from_us, to_us in rows:
            self._by_instrument[name].append((from_us, to_us))

    def touch(
        self, names: Sequence[str], starts_us: NDArray[np.int64], timeframe: Timeframe
    ) -> NDArray[np.bool_]:
        """Tell for each candle whether an open gap shares time with it."""
        times = zip(names, starts_us.tolist(), timeframe.ends_us(starts_us).tolist(), strict=True)
        spans = self._by_instrument
        touched = [touches(spans.get(name, ()), start, end) for name, start, end in times]
        return np.array(touched, dtype=bool)


def open_gaps(connection: Connection, names: Sequence[str]) -> Spans:
    """Return the open gaps of some instruments."""
    return Spans(connection.execute(_OPEN, (list(names),)).fetchall())


def mark_incomplete(
    connection: Connection, base: Timeframe, names: Sequence[str], candles: KeyedRecords
) -> None:
    """Set INCOMPLETE of base candles that touch an open gap; `names`: the instruments by number."""
    row_names = [name for name, _ in candles.keys(names)]
    touched = open_gaps(connection, names).touch(row_names, candles.start_us, base)
    candles.records.data["flags"][touched] |= INCOMPLETE


def evaluate_gaps(context: JobContext) -> Iterator[Emission]:
    """Update the completeness of live candles; yield the changes of each shard.

    A gap is evaluated until it can touch no live candle. Raises TransientError.
    """
    base = context.rules.base
    with context.postgres.connection() as connection:
        connection.execute(_QUEUE, (base.name, base.length_us))
        gaps = [_Gap(*row) for row in connection.execute(_UNJUDGED)]
    by_shard: dict[int, list[_Gap]] = defaultdict(list)
    for gap in gaps:
        by_shard[shard_of(gap.instrument, context.rules.shards)].append(gap)
    for shard, shard_gaps in by_shard.items():
        with context.postgres.connection() as connection:
            yield from _evaluate(context, connection, shard, shard_gaps)


def _evaluate(
    context: JobContext, connection: Connection, shard: int, gaps: Sequence[_Gap]
) -> Iterator[Emission]:
    """Evaluate the gaps of a shard."""
    names = sorted({gap.instrument for gap in gaps})
    spans = open_gaps(connection, names)
    first_live_us, changed, view = context.engine.run(
        shard, lambda session: _look(session, names, spans)
    )
    if changed:
        yield _mark(context, connection, shard, spans, changed, view)
    # The others touch a live candle, or one can begin in them.
    settled = [
        gap
        for gap in gaps
        if gap.state == "filled" or gap.to_us < first_live_us.get(gap.instrument, gap.to_us)
    ]
    if settled:
        columns = list(zip(*((*gap[:4], gap.state) for gap in settled), strict=True))
        connection.execute(_JUDGED, [list(column) for column in columns])


def _look(
    session: Session, names: Sequence[str], spans: Spans
) -> tuple[Mapping[str, int], Set[CandleStart], LiveView]:
    """Return since when each instrument is live, the candles to mark, and a view of their names."""
    known_names, rows = session.instruments(names)
    first_us = dict(zip(known_names, rows["newest_us"].tolist(), strict=True))
    changed: set[CandleStart] = set()
    for start_us, present, records in reversed([*live_base(session, names)]):
        first_us |= dict.fromkeys(present, start_us)
        wrong = np.flatnonzero(_differs(session, spans, present, start_us, records))
        changed |= {(present[row], start_us) for row in wrong.tolist()}
    return first_us, changed, view_live(session, sorted({name for name, _ in changed}))


def _mark(
    context: JobContext,
    connection: Connection,
    shard: int,
    spans: Spans,
    changed: Set[CandleStart],
    view: LiveView,
) -> Emission:
    """Write the completeness of live candles, and the longer ones that contain them."""
    names = sorted({name for name, _ in changed})
    refold = Refold(context, connection, view, names)
    refold.prepare(
        {
            (name, each.name, each.start_us(start_us))
            for name, start_us in changed
            for each in context.rules.ladder[1:]
        }
    )

    def write(session: Session) -> None:
        for start_us, present, records in live_base(session, names):
            differs = _differs(session, spans, present, start_us, records)
            differs &= [(name, start_us) in changed for name in present]
            flipped = records.at(differs)
            flipped.data["flags"] ^= INCOMPLETE
            block = Block(context.rules.base.name, start_us)
            session.put(block, list(compress(present, differs)), flipped)
        refold.apply(session)

    return context.run_recorded(connection, shard, write)[1]


def _differs(
    session: Session, spans: Spans, names: Sequence[str], start_us: int, records: Records
) -> NDArray[np.bool_]:
    """Tell which records of a base block say otherwise than the open gaps."""
    starts = np.full(len(names), start_us, dtype=np.int64)
    touched = spans.touch(names, starts, session.rules.base)
    differs: NDArray[np.bool_] = touched != records.has(INCOMPLETE)
    return differs
