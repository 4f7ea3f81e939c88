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
    LiveView,
    Refold,
    live_base,
    view_live,
)
from functions.candle_aggregate.job_context import JobContext
from functions.candle_aggregate.publish import OutboxRow
from functions.candle_aggregate.rules import Rules
from functions.candle_aggregate.session import Session
from shared.adapter.app import Emission
from shared.candles.folds import KeyedRecords
from shared.errors import PermanentError
from shared.market.blocks import CLOSED, PARTIAL, VENUE
from shared.market.shards import shard_of
from shared.reading.stored_candles import stored_candles
from shared.realtime.keys import Block
from shared.stores.first_ticks import first_ticks
from shared.stores.postgres import try_lock
from shared.wire import candle
from shared.wire.candle import CandleKey
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
    SELECT %(name)s, %(from)s, %(to)s, greatest(%(now)s, max(revision)), %(candles)s FROM candles
    WHERE instrument = %(name)s AND timeframe = %(base)s
        AND start_us >= %(from)s AND start_us < %(to)s
    ON CONFLICT (instrument, from_us, to_us) DO UPDATE SET
        published_us = excluded.published_us, candles = excluded.candles, settled = false
    RETURNING published_us
"""
"""`published_us`: below the revisions to publish, and not below those of before."""
_IS_STORED: Final = sql.SQL("""
    (SELECT count(*) FROM candles c WHERE c.instrument = h.instrument AND c.timeframe = %(base)s
        AND c.start_us >= h.from_us AND c.start_us < h.to_us AND c.revision > h.published_us
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


def publish_history(context: JobContext, history: CandleHistory) -> Emission:
    """Publish candles where none is stored, or only a partial one.

    Raises TransientError, and PermanentError: it is of another timeframe than the base.
    """
    engine, rules = context.engine, context.rules
    if history.candles.timeframe != rules.base.name:
        raise PermanentError(
            "bad_history",
            f"candles of {history.candles.timeframe}: the base timeframe here is {rules.base}",
        )
    name, shard = history.instrument, shard_of(history.instrument, rules.shards)
    view = engine.run(shard, lambda session: view_live(session, [name]))
    first_live_us = view.first_start_us(history.to_us)
    noted = {"name": name, "from": history.from_us, "to": history.to_us, "now": context.now_us()}
    with context.postgres.connection() as connection:
        base = _wanting(context, connection, history, first_live_us)
        connection.execute(_BEGIN if history.trades_follow else _SINCE, noted)
        if history.trades_follow:
            connection.execute(_QUEUE, noted)
        connection.execute(_NO_ALERTS, noted)
        note = {**noted, "base": rules.base.name, "candles": len(base)}
        for (revision_us,) in connection.execute(_NOTE, note).fetchall():
            revisions = base.records.data["revision"]  # they are published above these
            np.maximum(revisions, revision_us, out=revisions)
    with context.postgres.connection() as connection:
        refold = Refold(context, connection, view, [name])
        refold.prepare(_within(history, base, rules), base)

        def write(session: Session) -> list[OutboxRow]:
            refold.apply(session, base)
            session.raise_floors({name: first_live_us})
            return session.rows

        return engine.emission(engine.run(shard, write))


def unstored(connection: Connection, rules: Rules) -> set[str]:
    """Return instruments with published candles of the venue that are not stored yet."""
    return {name for (name,) in connection.execute(_UNSTORED, {"base": rules.base.name})}


def settle_histories(context: JobContext) -> Iterator[Emission]:
    """Fold the longer candles at the edges of what is stored. Raises TransientError."""
    with context.postgres.connection() as holder:
        if not try_lock(holder, "kandle repair"):
            return
        by_name: dict[str, list[_Range]] = defaultdict(list)
        with context.postgres.connection() as connection:
            parameters = {"base": context.rules.base.name, "most": _AT_ONCE}
            for row in connection.execute(_UNSETTLED, parameters):
                by_name[row[0]].append(_Range(*row))
        for name, ranges in by_name.items():
            with context.postgres.connection() as connection:
                yield from _settle(context, connection, name, ranges)


def _wanting(
    context: JobContext, connection: Connection, history: CandleHistory, first_live_us: int
) -> KeyedRecords:
    """Return the candles for which nothing better is known, with the revisions of what is.

    None of the time that is live: its folds would count the trades that come for it once more.
    """
    columns = history.candles
    starts, names = columns.start_us.tolist(), [history.instrument] * len(columns)
    stored = stored_candles(connection, columns.timeframe, names, starts, context.cold)
    stored_by_start = {each.start_us: each for each in stored.candles()}
    wanting = np.zeros(len(starts), dtype=bool)
    records = columns.records
    records.data["flags"] |= CLOSED | VENUE
    for row, venue_candle in enumerate(columns.candles()):
        before = stored_by_start.get(venue_candle.start_us)
        records.data["revision"][row] = 0 if before is None else before.revision
        if venue_candle.start_us >= first_live_us:
            continue
        if before is None:
            wanting[row] = True
        elif before.origin == candle.VENUE:
            wanting[row] = before.numbers != venue_candle.numbers
        else:
            wanting[row] = before.partial or not before.complete
    number = np.zeros(len(starts), dtype=np.int64)
    return KeyedRecords(number, columns.start_us, records).at(wanting)


def _within(history: CandleHistory, base: KeyedRecords, rules: Rules) -> set[CandleKey]:
    """Return the longer candles of `base` that lie in the range as a whole."""
    return {
        (history.instrument, each.name, start_us)
        for each in rules.ladder[1:]
        for start_us in np.unique(each.starts_us(base.start_us)).tolist()
        if history.from_us <= start_us and each.next_us(start_us) <= history.to_us
    }


def _settle(
    context: JobContext, connection: Connection, name: str, ranges: Sequence[_Range]
) -> Iterator[Emission]:
    """Fold the candles at the edges; tell the live state since when candles are known."""
    shard, base = shard_of(name, context.rules.shards), context.rules.base

    def look(session: Session) -> tuple[bool, LiveView]:
        return bool(session.instruments([name])[0]), view_live(session, [name])

    is_live, view = context.engine.run(shard, look)
    now_us, edges = context.now_us(), {each: set(_edges(each, context.rules)) for each in ranges}
    settled = [
        each for each in ranges if is_live or all(end_us <= now_us for _, end_us in edges[each])
    ]
    first_us = int(first_ticks(connection, [name])[0])
    begun_us = base.start_us(first_us)
    # Else the live state would take its first minute for a whole one.
    if not settled or (begun_us < first_us and (name, begun_us) in view.base):
        return
    since_us = min(each.from_us for each in settled)
    connection.execute(_SINCE, {"name": name, "from": since_us})
    refold = Refold(context, connection, view, [name])
    refold.prepare({interval for each in settled for interval, _ in edges[each]})
    floor_us = view.first_start_us(max(each.to_us for each in settled))

    def write(session: Session) -> None:
        for start_us, present, records in live_base(session, [name]):
            if records.has(PARTIAL).any():
                records.data["flags"] &= 255 - PARTIAL
                session.put(Block(base.name, start_us), present, records)
        refold.apply(session)
        session.raise_floors({name: floor_us}, int(refold.first_us[0]))

    yield context.run_recorded(connection, shard, write)[1]
    connection.cursor().executemany(_SETTLED, settled)


def _edges(each: _Range, rules: Rules) -> Iterator[tuple[CandleKey, int]]:
    """Yield the longer candles that reach beyond the range, and when they end."""
    for timeframe in rules.ladder[1:]:
        first_us, last_us = timeframe.start_us(each.from_us), timeframe.start_us(each.to_us - 1)
        if first_us < each.from_us:
            yield (each.instrument, timeframe.name, first_us), timeframe.next_us(first_us)
        if timeframe.next_us(last_us) > each.to_us:
            yield (each.instrument, timeframe.name, last_us), timeframe.next_us(last_us)
