"""Completeness: candles that touch an open gap of their feed are incomplete until it is filled.

Postgres has the gaps. Live base candles are judged here, each second; stored ones are queued for
repair, once for each change of a gap. A longer candle is complete where its base candles are.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from psycopg import Connection

from functions.candle_aggregate.corrections.refold import (
    Interval,
    Refold,
    View,
    live_base,
    look,
)
from functions.candle_aggregate.engine import Engine
from functions.candle_aggregate.maintenance.state_check import run_recorded
from functions.candle_aggregate.publish import OutboxRow
from functions.candle_aggregate.rules import Rules
from functions.candle_aggregate.session import Session
from shared.adapter.app import Emission
from shared.candles.folds import Places, nothing
from shared.lake.cold import NO_LAKE, Cold
from shared.market.blocks import INCOMPLETE
from shared.market.shards import shard_of
from shared.market.timeframes import Timeframe
from shared.realtime.keys import Block
from shared.stores.postgres import Postgres

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
        touched = np.zeros(len(names), dtype=bool)
        ends_us = timeframe.ends_us(starts_us)
        for row, name in enumerate(names):
            start_us, end_us = int(starts_us[row]), int(ends_us[row])
            spans = self._by_instrument.get(name, ())
            touched[row] = any(from_us < end_us and to_us >= start_us for from_us, to_us in spans)
        return touched


def open_gaps(connection: Connection, names: Sequence[str]) -> Spans:
    """Return the open gaps of some instruments."""
    return Spans(connection.execute(_OPEN, (list(names),)).fetchall())


def mark_incomplete(
    connection: Connection, base: Timeframe, names: Sequence[str], places: Places
) -> None:
    """Set INCOMPLETE of base candles that touch an open gap; `names`: the instruments by number."""
    row_names = [names[number] for number in places.instrument.tolist()]
    touched = open_gaps(connection, names).touch(row_names, places.start_us, base)
    places.records.data["flags"][touched] |= INCOMPLETE


def evaluate_gaps(
    engine: Engine, postgres: Postgres, rules: Rules, now_us: int, cold: Cold = NO_LAKE
) -> Iterator[Emission]:
    """Update the completeness of live candles; yield the changes of each shard.

    A gap is evaluated until it can touch no live candle. Raises TransientError.
    """
    base = rules.base
    with postgres.connection() as connection:
        connection.execute(_QUEUE, (base.name, base.length_us))
        gaps = [_Gap(*row) for row in connection.execute(_UNJUDGED)]
    by_shard: dict[int, list[_Gap]] = defaultdict(list)
    for gap in gaps:
        by_shard[shard_of(gap.instrument, rules.shards)].append(gap)
    for shard, shard_gaps in by_shard.items():
        with postgres.connection() as connection:
            names = sorted({gap.instrument for gap in shard_gaps})
            job = _Evaluation(engine, connection, rules, shard, names, cold)
            yield job.run(now_us)
            settled = [gap for gap in shard_gaps if gap.state == "filled" or job.is_past(gap)]
            if settled:
                columns = list(zip(*((*gap[:4], gap.state) for gap in settled), strict=True))
                connection.execute(_JUDGED, [list(column) for column in columns])


class _Evaluation:
    """The gaps of one shard held against its live candles."""

    def __init__(
        self,
        engine: Engine,
        connection: Connection,
        rules: Rules,
        shard: int,
        names: Sequence[str],
        cold: Cold,
    ) -> None:
        self._engine, self._connection, self._rules, self._cold = engine, connection, rules, cold
        self._shard, self._names = shard, names
        self._spans = open_gaps(connection, names)
        self._first_live_us: Mapping[str, int] = {}

    def run(self, now_us: int) -> Emission:
        """Evaluate; write what changed, and the longer candles that contain it."""
        changed: list[tuple[str, int]] = []

        def differing(session: Session) -> View:
            live: dict[str, int] = {}
            for start_us, present, records in live_base(session, self._rules, self._names):
                differs = np.flatnonzero(self._differs(present, start_us, records.data))
                changed.extend((present[row], start_us) for row in differs.tolist())
                for name in present:
                    live.setdefault(name, start_us)
            known_names, rows = session.instruments(self._names)
            newest = dict(zip(known_names, rows["newest_us"].tolist(), strict=True))
            self._first_live_us = {
                name: live.get(name, newest_us) for name, newest_us in newest.items()
            }
            return look(session, self._rules, sorted({name for name, _ in changed}))

        view = self._engine.run(self._shard, differing)
        if not changed:
            return self._engine.emission([])
        names = sorted({name for name, _ in changed})
        refold = Refold(self._connection, self._rules, view, names, self._cold)
        longer = self._rules.ladder[1:]
        refold.prepare(
            {Interval(n, each.name, each.start_us(s)) for n, s in changed for each in longer},
            nothing(),
        )

        def write(session: Session) -> list[OutboxRow]:
            for start_us, present, records in live_base(session, self._rules, names):
                differs = self._differs(present, start_us, records.data)
                if differs.any():
                    rows = np.flatnonzero(differs)
                    flipped = records.at(rows)
                    flipped.data["flags"] ^= INCOMPLETE
                    block = Block(self._rules.base.name, start_us)
                    session.put(block, [present[row] for row in rows.tolist()], flipped)
            refold.apply(session, nothing(), set())
            return session.rows

        rows = run_recorded(self._engine, self._connection, self._shard, write, now_us)
        return self._engine.emission(rows)

    def is_past(self, gap: _Gap) -> bool:
        """Tell whether no live candle touches the gap, and none can begin in it."""
        return gap.to_us < self._first_live_us.get(gap.instrument, gap.to_us)

    def _differs(
        self, names: Sequence[str], start_us: int, data: NDArray[np.void]
    ) -> NDArray[np.bool_]:
        starts = np.full(len(names), start_us, dtype=np.int64)
        touched = self._spans.touch(names, starts, self._rules.base)
        differs: NDArray[np.bool_] = touched != ((data["flags"] & INCOMPLETE) != 0)
        return differs
