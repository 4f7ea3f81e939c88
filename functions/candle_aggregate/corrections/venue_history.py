"""A venue's candles of an instrument's past: published where its trades are not known in full.

Base candles, and the longer ones that lie within the range, are published with the event. A longer
one that reaches beyond the range is folded by the clock, once the base candles are stored; where it
is still open, once the instrument is live.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

import numpy as np
from psycopg import Connection, sql

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
from shared.errors import PermanentError
from shared.lake.cold import NO_LAKE, Cold
from shared.market.blocks import CLOSED, PARTIAL, VENUE
from shared.market.shards import shard_of
from shared.reading.stored_candles import stored_candles
from shared.realtime.keys import Block
from shared.stores.first_ticks import first_ticks
from shared.stores.postgres import Postgres, try_lock
from shared.wire import candle
from shared.wire.candle_history import CandleHistory

_AT_ONCE: Final = 1_000

_BEGIN: Final = """
    INSERT INTO first_ticks AS f (instrument, first_time_us, last_time_us, history_us)
    VALUES (%(name)s, %(to)s, %(to)s, %(from)s)
    ON CONFLICT (instrument) DO UPDATE SET
        history_us = least(f.history_us, excluded.history_us),
        first_time_us = least(f.first_time_us, excluded.first_time_us)
"""
"""Where every trade from the end of the range on is known."""
_SINCE: Final = """
    UPDATE first_ticks SET history_us = least(history_us, %(from)s) WHERE instrument = %(name)s
"""
_QUEUE: Final = """
    INSERT INTO repairs (instrument, timeframe, start_us, event_id, reason)
    VALUES (%(name)s, '', %(to)s, '', 'flag') ON CONFLICT DO NOTHING
"""
"""The candle that begins there may have been taken for a part of one."""
_NO_ALERTS: Final = """
    UPDATE alert_rules SET after_us = %(to)s - 1
    WHERE instrument = %(name)s AND removed_at IS NULL AND after_us < %(to)s - 1
"""
"""Patterns of the past are judged, and nobody is alerted of them."""
_NOTE: Final = """
    INSERT INTO candle_histories (instrument, from_us, to_us, published_us, candles)
    VALUES (%(name)s, %(from)s, %(to)s, %(now)s, %(candles)s)
    ON CONFLICT (instrument, from_us, to_us) DO UPDATE SET
        published_us = excluded.published_us, candles = excluded.candles, settled = false
"""
_IS_STORED: Final = sql.SQL("""
    (SELECT count(*) FROM candles c WHERE c.instrument = h.instrument AND c.timeframe = %(base)s
        AND c.start_us >= h.from_us AND c.start_us < h.to_us AND c.revision >= h.published_us
    ) >= h.candles
""")
_UNSTORED: Final = sql.SQL(
    "SELECT DISTINCT instrument FROM candle_histories h WHERE NOT settled AND NOT {}"
).format(_IS_STORED)
_UNSETTLED: Final = sql.SQL("""
    SELECT instrument, from_us, to_us, published_us FROM candle_histories h
    WHERE NOT settled AND {} AND NOT EXISTS (SELECT FROM repairs r
        WHERE r.instrument = h.instrument AND r.published_us IS NOT NULL)
    ORDER BY instrument, from_us LIMIT %(most)s
""").format(_IS_STORED)
_SETTLED: Final = """
    UPDATE candle_histories SET settled = true
    WHERE instrument = %s AND from_us = %s AND to_us = %s AND published_us = %s
"""


class _Range(NamedTuple):
    instrument: str
    from_us: int
    to_us: int
    published_us: int


def publish_history(
    engine: Engine,
    postgres: Postgres,
    rules: Rules,
    history: CandleHistory,
    now_us: int,
    cold: Cold = NO_LAKE,
) -> Emission:
    """Publish candles where none is stored, or only a partial one.

    Raises TransientError, and PermanentError: it is of another timeframe than the base.
    """
    if history.candles.timeframe != rules.base.name:
        raise PermanentError(
            "bad_history",
            f"candles of {history.candles.timeframe}: the base timeframe here is {rules.base}",
        )
    name, shard = history.instrument, shard_of(history.instrument, rules.shards)
    view = engine.run(shard, lambda session: look(session, rules, [name]))
    noted = {"name": name, "from": history.from_us, "to": history.to_us}
    with postgres.connection() as connection:
        base = _wanting(connection, history, view, cold)
        # Below the revisions that are written, above those that they replace.
        stored = int(base.records.data["revision"].max(initial=0))
        noted["now"] = engine.store.revision(max(now_us, stored + 1))
        connection.execute(_BEGIN if history.trades_follow else _SINCE, noted)
        if history.trades_follow:
            connection.execute(_QUEUE, noted)
        connection.execute(_NO_ALERTS, noted)
        connection.execute(_NOTE, {**noted, "candles": len(base)})
    with postgres.connection() as connection:
        refold = Refold(connection, rules, view, [name], cold)
        refold.prepare(_within(history, base, rules), base)

        def write(session: Session) -> list[OutboxRow]:
            refold.apply(session, base, set())
            session.raise_floors({name: min([history.to_us, *_starts(view)])})
            return session.rows

        return engine.emission(engine.run(shard, write))


def unstored(connection: Connection, rules: Rules) -> set[str]:
    """Return instruments with published candles of the venue that are not stored yet."""
    return {name for (name,) in connection.execute(_UNSTORED, {"base": rules.base.name})}


def settle_histories(
    engine: Engine, postgres: Postgres, rules: Rules, now_us: int, cold: Cold = NO_LAKE
) -> Iterator[Emission]:
    """Fold the longer candles at the edges of what is stored. Raises TransientError."""
    with postgres.connection() as holder:
        if not try_lock(holder, "kandle repair"):
            return
        with postgres.connection() as connection:
            parameters = {"base": rules.base.name, "most": _AT_ONCE}
            ranges = [_Range(*row) for row in connection.execute(_UNSETTLED, parameters)]
        by_name: dict[str, list[_Range]] = defaultdict(list)
        for each in ranges:
            by_name[each.instrument].append(each)
        for name, instrument_ranges in by_name.items():
            with postgres.connection() as connection:
                settling = _Settling(engine, connection, rules, name, cold)
                yield settling.run(instrument_ranges, now_us)
                connection.cursor().executemany(_SETTLED, settling.settled)


def _wanting(connection: Connection, history: CandleHistory, view: View, cold: Cold) -> Places:
    """Return the candles for which nothing better is known, with the revisions of what is.

    None of the time that is live: its folds would count the trades that come for it once more.
    """
    live_us = min(_starts(view), default=history.to_us)
    columns = history.candles
    starts = columns.start_us.tolist()
    names = [history.instrument] * len(starts)
    stored = stored_candles(connection, columns.timeframe, names, starts, cold)
    stored_by_start = {each.start_us: each for each in stored.candles()}
    wanting = np.zeros(len(starts), dtype=bool)
    records = columns.records
    records.data["flags"] |= CLOSED | VENUE
    for row, venue_candle in enumerate(columns.candles()):
        before = stored_by_start.get(venue_candle.start_us)
        records.data["revision"][row] = 0 if before is None else before.revision
        if venue_candle.start_us >= live_us:
            continue
        if before is None:
            wanting[row] = True
        elif before.origin == candle.VENUE:
            wanting[row] = before.numbers != venue_candle.numbers
        else:
            wanting[row] = before.partial or not before.complete
    places = Places(np.zeros(len(starts), dtype=np.int64), columns.start_us, records)
    return places.at(wanting)


def _within(history: CandleHistory, base: Places, rules: Rules) -> set[Interval]:
    """Return the longer candles of `base` that lie in the range as a whole."""
    return {
        Interval(history.instrument, each.name, start_us)
        for each in rules.ladder[1:]
        for start_us in np.unique(each.starts_us(base.start_us)).tolist()
        if history.from_us <= start_us and each.next_us(start_us) <= history.to_us
    }


class _Settling:
    """One instrument's ranges of history, at whose edges longer candles are folded again.

    `settled`: the ranges that are done with.
    """

    def __init__(
        self, engine: Engine, connection: Connection, rules: Rules, name: str, cold: Cold
    ) -> None:
        self._engine, self._connection, self._rules = engine, connection, rules
        self._name, self._cold = name, cold
        self._shard = shard_of(name, rules.shards)
        self._is_live = False
        self.settled: list[_Range] = []

    def run(self, ranges: Sequence[_Range], now_us: int) -> Emission:
        """Fold the candles at the edges; tell the live state since when candles are known."""
        view = self._engine.run(self._shard, self._look)
        intervals: set[Interval] = set()
        for each in ranges:
            edges = set(self._edges(each))
            is_open = any(self._end_us(edge) > now_us for edge in edges)
            if not is_open or self._is_live:
                intervals |= edges
                self.settled.append(each)
        if not self.settled:
            return self._engine.emission([])
        first_us = int(first_ticks(self._connection, [self._name])[0])
        begun_us = self._rules.base.start_us(first_us)
        if begun_us < first_us and (self._name, begun_us) in view.base:
            self.settled = []  # the live state would take its first minute for a whole one
            return self._engine.emission([])
        earliest_us = min(each.from_us for each in self.settled)
        self._connection.execute(_SINCE, {"name": self._name, "from": earliest_us})
        refold = Refold(self._connection, self._rules, view, [self._name], self._cold)
        refold.prepare(intervals, nothing())
        to_us = max(each.to_us for each in self.settled)

        def write(session: Session) -> list[OutboxRow]:
            for start_us, present, records in live_base(session, self._rules, [self._name]):
                if records.has(PARTIAL).any():
                    records.data["flags"] &= 255 - PARTIAL
                    session.put(Block(self._rules.base.name, start_us), present, records)
            refold.apply(session, nothing(), set())
            session.raise_floors(
                {self._name: min([to_us, *_starts(view)])}, int(refold.first_us[0])
            )
            return session.rows

        rows = run_recorded(self._engine, self._connection, self._shard, write, now_us)
        return self._engine.emission(rows)

    def _look(self, session: Session) -> View:
        names, _ = session.instruments([self._name])
        self._is_live = bool(names)
        return look(session, self._rules, [self._name])

    def _edges(self, each: _Range) -> Iterator[Interval]:
        for timeframe in self._rules.ladder[1:]:
            first_us = timeframe.start_us(each.from_us)
            last_us = timeframe.start_us(each.to_us - 1)
            if first_us < each.from_us:
                yield Interval(self._name, timeframe.name, first_us)
            if timeframe.next_us(last_us) > each.to_us:
                yield Interval(self._name, timeframe.name, last_us)

    def _end_us(self, interval: Interval) -> int:
        return self._rules.timeframe(interval.timeframe).next_us(interval.start_us)


def _starts(view: View) -> list[int]:
    return [start_us for _, start_us in view.base]
