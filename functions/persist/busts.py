"""Cancels and corrections: a row beside the trade's own, and its candle queued for repair.

A bust that came before its trade waits, is tried again with growing pauses, and ends as a reject.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from typing import Final, NamedTuple

import numpy as np
from psycopg import Connection

from functions.persist.segments import segments
from functions.persist.tick_writer import copy_segments
from shared import busts, metrics
from shared.busts import Bust
from shared.entries import Entries, Entry
from shared.inputs.line import Number, price_of, read_trade_id, size_of
from shared.instruments import NO_MARKET, Market
from shared.lake.plan import ALL_IN_POSTGRES
from shared.order import NO_ORDER_ID, OrderKey, source_key
from shared.stores.applied import claim
from shared.stores.commits import next_commit
from shared.stores.postgres import Postgres
from shared.stores.segments import COARSE_US, rows_of_range
from shared.ticks import CANCELLED, CORRECTED, ENDING, INTEGER_ID, TEXT_ID, Ticks
from shared.trades import MINUTE_US, Rows, concatenated

REACH_US: Final = 2 * 86_400_000_000
"""A bust that does not say when its trade was finds it so far before the instrument's last tick."""
TRIES: Final = 9
"""After 1, 2, 4, ... seconds: nine minutes together."""
_AT_ONCE: Final = 200

_LAST: Final = "SELECT last_time_us FROM first_ticks WHERE instrument = %s"
_WAIT: Final = """
    INSERT INTO pending_busts (event_id, position, source, format, bust, next_at)
    VALUES (%s, %s, %s, %s, %s, now() + interval '1 second')
"""
_DUE: Final = """
    SELECT event_id, position, source, format, bust, tries FROM pending_busts
    WHERE next_at <= now() ORDER BY next_at LIMIT %s FOR UPDATE SKIP LOCKED
"""
_AGAIN: Final = """
    UPDATE pending_busts SET tries = tries + 1, next_at = now() + interval '1 second' * (2 << tries)
    WHERE event_id = %s AND position = %s
"""
_DONE: Final = "DELETE FROM pending_busts WHERE event_id = %s AND position = %s"
_REPAIR: Final = """
    INSERT INTO repairs (instrument, timeframe, start_us, event_id, reason)
    VALUES (%s, '', %s, %s, 'bust') ON CONFLICT DO NOTHING
"""
_REJECT: Final = """
    INSERT INTO rejects (event_id, position, code, detail, original, receive_time_us, source,
        sequence, format)
    VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING
"""


class _Place(NamedTuple):
    """Which bust: its event, its number there, and what reads it again."""

    event_id: str
    position: int
    source: str
    format: int


class BustWriter:
    """Writes busts, each once in effect. Methods raise TransientError."""

    def __init__(self, postgres: Postgres) -> None:
        self._postgres = postgres

    def __call__(self, event_id: str, source: str, format_: int, some: Sequence[Bust]) -> bool:
        """Write an event's busts; return whether they were not written before."""
        with self._postgres.connection() as connection:
            commit_id = next_commit(connection)
            if not claim(connection, [event_id], commit_id):
                return False
            ended = []
            for position, bust in enumerate(some):
                place = _Place(event_id, position, source, format_)
                trade = find(connection, bust)
                if isinstance(trade, Rows):
                    ended.append((place, bust, trade))
                elif trade:
                    _reject(connection, place, bust, "ambiguous_trade", trade)
                else:
                    body = busts.encode(source, format_, [bust])
                    connection.execute(_WAIT, (*place, body))
                    metrics.BUSTS.labels("waiting").inc()
            _write(connection, commit_id, ended)
        return True

    def retry(self) -> None:
        """Try again what waits for its trade, and let it be a reject after the last time."""
        with self._postgres.connection() as connection:
            due = connection.execute(_DUE, (_AT_ONCE,)).fetchall()
            if not due:
                return
            commit_id = next_commit(connection)
            ended = []
            for *key, body, tries in due:
                place = _Place(*key)
                (bust,) = busts.decode(body)[2]
                trade = find(connection, bust)
                if trade is None and tries < TRIES:
                    connection.execute(_AGAIN, place[:2])
                    continue
                connection.execute(_DONE, place[:2])
                if isinstance(trade, Rows):
                    ended.append((place, bust, trade))
                elif trade:
                    _reject(connection, place, bust, "ambiguous_trade", trade)
                else:
                    _reject(connection, place, bust, "unknown_trade", _unknown(bust))
            _write(connection, commit_id, ended)


def find(connection: Connection, bust: Bust) -> Rows | str | None:
    """Return the trade, a row; None where none has the id; or why it cannot be told.

    Of several minutes that have one of the id the last is meant; of a trade that
    was sent several times the first in the total order.
    """
    if bust.event_time_us:
        from_us = bust.event_time_us - bust.event_time_us % MINUTE_US
        until_us = from_us + MINUTE_US
    else:
        row = connection.execute(_LAST, (bust.instrument,)).fetchone()
        if row is None:
            return None
        from_us, until_us = int(row[0]) - REACH_US, int(row[0]) + 2 * COARSE_US
    plan = ALL_IN_POSTGRES
    newest = -1
    with closing(
        rows_of_range(connection, bust.instrument, from_us, until_us, plan, newest=True)
    ) as read:
        for _, last_us, rows in read:
            if newest >= 0 and last_us < newest - newest % MINUTE_US:
                break
            some = _named(rows, bust)
            inside = some.time_us[(some.time_us >= from_us) & (some.time_us < until_us)]
            newest = max(newest, int(inside.max(initial=-1)))
    if newest < 0:
        return None
    minute_us = newest - newest % MINUTE_US
    with closing(
        rows_of_range(
            connection, bust.instrument, minute_us, minute_us + MINUTE_US, plan, newest=False
        )
    ) as read:
        trade = concatenated([_named(rows, bust) for _, _, rows in read])
    trade = trade.at(trade.time_us // MINUTE_US == minute_us // MINUTE_US)
    if len(venues := sorted(set(trade.venue.tolist()))) > 1:
        return f"{venues} each have a trade {bust.trade_id} of {bust.instrument}: say the `venue`"
    first = min(range(len(trade)), key=lambda row: _key(trade, row))
    return trade.at(np.array([first]))


def _named(rows: Rows, bust: Bust) -> Rows:
    """Return the prints that have the bust's id and venue."""
    kind, number, text = read_trade_id("trade_id", bust.trade_id)
    found = (rows.kind == kind) & ((rows.flags & ENDING) == 0)
    found &= rows.trade_id == number if kind == INTEGER_ID else (rows.text == text).astype(bool)
    if bust.venue is not None:
        found &= (rows.venue == bust.venue).astype(bool)
    return rows.at(found)


def _key(rows: Rows, row: int) -> OrderKey:
    return OrderKey(
        int(rows.time_us[row]),
        int(rows.trade_id[row]) if rows.kind[row] == INTEGER_ID else NO_ORDER_ID,
        int(rows.receive_us[row]),
        source_key(str(rows.source[row])),
        int(rows.sequence[row]),
    )


def _write(
    connection: Connection, commit_id: int, ended: Sequence[tuple[_Place, Bust, Rows]]
) -> None:
    """Store what ends trades as rows of their own, and queue their candles."""
    events = [
        (f"{place.event_id}/{place.position}", _ending(place.source, bust, trade))
        for place, bust, trade in ended
    ]
    copy_segments(connection, commit_id, list(segments(events)))
    for (event_id, ticks), (_, bust, _) in zip(events, ended, strict=True):
        time_us = int(ticks.event_time_us[0])
        connection.execute(_REPAIR, (bust.instrument, time_us, event_id))
    metrics.BUSTS.labels("applied").inc(len(ended))


def _ending(source: str, bust: Bust, trade: Rows) -> Ticks:
    """Return the row that says it: the trade's time and id, the bust's receipt."""
    price = Number(int(trade.price[0]), int(trade.price_scale[0]))
    size = Number(int(trade.size[0]), int(trade.size_scale[0]))
    if bust.price:
        price = price_of("price", bust.price)
    if bust.size:
        size = size_of("size", bust.size)
    venue = str(trade.venue[0])
    market = Market(venue, "") if venue else NO_MARKET
    said = CORRECTED if bust.is_correction else CANCELLED
    return Ticks(
        source,
        Entries.of(Entry(bust.instrument, price.scale, size.scale, 1, market)),
        trade.time_us,
        np.array([price.mantissa]),  # of objects beyond 64 bits
        np.array([size.mantissa]),
        trade.side,
        trade.kind,
        trade.trade_id,
        trade.text if trade.kind[0] == TEXT_ID else None,
        np.array([bust.receive_time_us]),
        np.array([bust.sequence]),
        trade.flags | np.uint8(said),
    )


def _unknown(bust: Bust) -> str:
    venue = f" at {bust.venue}" if bust.venue else ""
    where = "in that minute" if bust.event_time_us else "in its last two days"
    return (
        f"Postgres has no trade {bust.trade_id} of {bust.instrument}{venue} {where}:"
        " check symbol, venue and id, and say the trade's `time`"
    )


def _reject(connection: Connection, place: _Place, bust: Bust, code: str, detail: str) -> None:
    values = (bust.original, bust.receive_time_us, place.source, bust.sequence, place.format)
    connection.execute(_REJECT, (place.event_id, place.position, code, detail, *values))
    metrics.BUSTS.labels(code).inc()
