"""Corrections under another trade id: resolve which id counts, and where.

Each id is a trade of its own. The one that is replaced is cancelled; the one that replaces it
has the time of the first. If the venue lists it at another time, the listed trade is
cancelled. Of several corrections of one id, and its cancel, the one received last counts. So the
order in which trades, corrections and lists arrive does not matter.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from typing import Final, LiteralString, NamedTuple

import numpy as np
from psycopg import Connection

from functions.persist.bust_trades import REACH_US, prints_of
from functions.persist.segments import Event
from shared.candles.trades import MINUTE_US, NO_ROWS, Rows, concatenated
from shared.inputs.text.line import Number, price_of, read_trade_id, size_of
from shared.lake.reading.plan import plan_ticks
from shared.market.instruments import NO_MARKET, Market
from shared.reading.ranges import rows_of_range
from shared.stores.planes import as_narrow
from shared.wire import busts
from shared.wire.busts import Bust
from shared.wire.instrument_table import Entries, Entry
from shared.wire.ticks import CANCELLED, CORRECTED, TEXT_ID, Ticks

SESSION_US: Final = 8 * 3_600_000_000
"""How long after a trade its venue may list the correction, at most: ids begin anew after that."""

_LOCK: Final = "SELECT pg_advisory_xact_lock(7236833117)"
_LOCK_SHARED: Final = "SELECT pg_advisory_xact_lock_shared(7236833117)"
_NOTE: Final = """
    INSERT INTO corrected_trades VALUES (%(name)s, %(venue)s, %(id)s, %(original)s, %(time_us)s,
        %(received_us)s, %(sequence)s, %(event_id)s, %(position)s, %(source)s, %(format)s,
        %(bust)s) ON CONFLICT DO NOTHING
"""
_AGAIN: Final = """
    WITH words AS (
        DELETE FROM corrected_trades WHERE instrument = %(name)s AND venue = %(venue)s
            AND original_id = %(id)s AND time_us > %(time_us)s
            AND time_us < %(time_us)s + %(session_us)s
        RETURNING event_id, position, source, format, bust)
    INSERT INTO pending_busts (event_id, position, source, format, bust)
    SELECT * FROM words ON CONFLICT DO NOTHING
"""
_OTHERS: Final = """
    SELECT trade_id, (receive_time_us, sequence) > (%(received_us)s, %(sequence)s)
    FROM corrected_trades WHERE instrument = %(name)s AND venue = %(venue)s
        AND original_id = %(original)s AND time_us = %(time_us)s AND trade_id <> %(id)s
"""
_TIME: Final[LiteralString] = """
    SELECT max(time_us) FROM corrected_trades WHERE instrument = %(name)s
        AND venue = coalesce(%(venue)s, venue) AND trade_id = %(id)s
"""
_TIME_NEAR: Final[LiteralString] = (
    _TIME
    + """
    AND time_us BETWEEN %(time_us)s - %(session_us)s AND %(time_us)s + %(minute_us)s
"""
)
_TIME_RECENT: Final[LiteralString] = _TIME + " AND receive_time_us > %(since_us)s"
REPAIR: Final = """
    INSERT INTO repairs (instrument, timeframe, start_us, event_id, reason)
    VALUES (%s, '', %s, %s, 'bust') ON CONFLICT DO NOTHING
"""
_LISTED: Final = """
    SELECT instrument, venue, trade_id, time_us FROM corrected_trades
    WHERE instrument = ANY(%s) AND trade_id <> '' AND time_us BETWEEN %s AND %s
"""


class Place(NamedTuple):
    """Position of a bust: its event, its number there, and what reads it again."""

    event_id: str
    position: int
    source: str
    format: int


def at_its_time(connection: Connection, bust: Bust) -> Bust:
    """Return the bust with the time of its trade, if a correction gave the id."""
    statement = _TIME_NEAR if bust.event_time_us else _TIME_RECENT
    values = {
        "name": bust.instrument,
        "venue": bust.venue,
        "id": bust.trade_id,
        "time_us": bust.event_time_us,
        "since_us": bust.receive_time_us - REACH_US,
        "session_us": SESSION_US,
        "minute_us": MINUTE_US,
    }
    row = connection.execute(statement, values).fetchone()
    return replace(bust, event_time_us=row[0]) if row and row[0] is not None else bust


def note(connection: Connection, resolved: Sequence[tuple[Place, Bust, Rows]]) -> None:
    """Record busts, to be committed before their rows are stored.

    Commits that listed a trade without knowing that have ended when this returns.
    """
    records = [
        {
            **_values(bust, trade),
            **place._asdict(),
            "bust": busts.encode(place.source, place.format, [bust]),
        }
        for place, bust, trade in resolved
        if _decides_trade(bust)
    ]
    if records:
        connection.execute(_LOCK)
        connection.cursor().executemany(_NOTE, records)


def rows_of(connection: Connection, source: str, bust: Bust, trade: Rows) -> list[Ticks]:
    """Return the rows by which a recorded bust changes a trade, and those of other ids.

    What was said of the corrected trade where it was listed is queued again, for where it stands.
    """
    if not _decides_trade(bust):
        flag = CORRECTED if bust.is_correction else CANCELLED
        return [_row(source, bust, trade, flag)]
    values = _values(bust, trade)
    others = connection.execute(_OTHERS, values).fetchall()
    is_last = not any(later for _, later in others)
    void = [trade]
    valid: list[Rows] = []
    if is_last:
        void += [_with_id(trade, id_, 0) for id_, _ in others if id_]
    if bust.corrected_id:
        connection.execute(_AGAIN, {**values, "session_us": SESSION_US})
        void += _listed_elsewhere(connection, bust, trade)
        corrected = _with_id(trade, bust.corrected_id, bust.flags)
        (valid if is_last else void).append(corrected)
    cancel = replace(bust, price="", size="")
    return [
        *(_row(source, cancel, each, CANCELLED) for each in void),
        *(_row(source, bust, each, 0) for each in valid),
    ]


def _decides_trade(bust: Bust) -> bool:
    """Tell whether a bust decides a trade, not only one of its ids."""
    return bool(bust.corrected_id) or not (bust.is_correction or bust.may_be_absent)


def _row(source: str, bust: Bust, trade: Rows, flag: int) -> Ticks:
    """Return a row of a trade's time and id, with what the bust says, its receipt and a flag."""
    price = Number(int(trade.price[0]), int(trade.price_scale[0]))
    size = Number(int(trade.size[0]), int(trade.size_scale[0]))
    if bust.price:
        price = price_of("price", bust.price)
    if bust.size:
        size = size_of("size", bust.size)
    venue = str(trade.venue[0])
    market = Market(venue, "") if venue else NO_MARKET
    return Ticks(
        source,
        Entries.of(Entry(bust.instrument, price.scale, size.scale, 1, market)),
        trade.time_us,
        as_narrow(np.array([price.mantissa], dtype=object)),
        as_narrow(np.array([size.mantissa], dtype=object)),
        trade.side,
        trade.kind,
        trade.trade_id,
        trade.text if trade.kind[0] == TEXT_ID else None,
        np.array([bust.receive_time_us]),
        np.array([bust.sequence]),
        trade.flags | np.uint8(flag),
    )


def listed(connection: Connection, events: Sequence[Event]) -> list[Event]:
    """Return cancels of corrected trades that new events list at another time.

    Queues the candles of all of them for repair: live ones may count them once more.
    """
    with_text_ids = [event for event in events if event[1].trade_id_text is not None]
    if not with_text_ids:  # no venue gives corrections ids that are integers
        return []
    connection.execute(_LOCK_SHARED)
    first_us = min(int(ticks.event_time_us.min()) for _, ticks in with_text_ids)
    last_us = max(int(ticks.event_time_us.max()) for _, ticks in with_text_ids)
    names = sorted({name for _, ticks in with_text_ids for name in ticks.names})
    span = (first_us - SESSION_US, last_us + MINUTE_US)
    corrections = connection.execute(_LISTED, (names, *span)).fetchall()
    times: dict[tuple[str, str], dict[str, int]] = defaultdict(dict)
    for name, venue, id_, time_us in corrections:
        times[name, venue][id_] = time_us
    cancels = []
    for event_id, ticks in with_text_ids if times else ():
        for entry, rows in ticks.runs():
            corrected = times.get((entry.name, entry.market.venue), {})
            ids = () if ticks.trade_id_text is None else ticks.trade_id_text[rows]
            is_corrected = np.isin(ids, list(corrected)) if corrected else ()
            for row in (np.flatnonzero(is_corrected) + rows.start).tolist():
                at_us = int(ticks.event_time_us[row])
                connection.execute(REPAIR, (entry.name, at_us, event_id))
                if at_us // MINUTE_US != corrected[ticks.text_at(row)] // MINUTE_US:
                    cancels.append((f"{event_id}/{row}", _cancelled(ticks, row)))
    return cancels


def _cancelled(ticks: Ticks, row: int) -> Ticks:
    print_ = ticks.select(np.arange(len(ticks)) == row)
    flags = print_.flags | np.uint8(CANCELLED)
    return replace(print_, source=f"{print_.source}/corrected", flags=flags)


def _listed_elsewhere(connection: Connection, bust: Bust, trade: Rows) -> list[Rows]:
    """Return the prints of the corrected id, one of each minute but the trade's own."""
    from_us = int(trade.time_us[0]) // MINUTE_US * MINUTE_US + MINUTE_US
    until_us = from_us + SESSION_US
    plan = plan_ticks(connection, from_us, until_us)
    venue = str(trade.venue[0])
    name = bust.instrument
    with closing(rows_of_range(connection, name, from_us, until_us, plan, newest=False)) as read:
        parts = [prints_of(rows, bust.corrected_id, venue) for _, _, rows in read]
    prints = concatenated([NO_ROWS, *parts])
    inside = (prints.time_us >= from_us) & (prints.time_us < until_us)
    prints = prints.at(inside)
    firsts = np.unique(prints.time_us // MINUTE_US, return_index=True)[1]
    return [prints.at(np.array([row])) for row in firsts.tolist()]


def _with_id(trade: Rows, trade_id: str, flags: int) -> Rows:
    """Return the trade under another id, with other flags."""
    kind, number, text = read_trade_id("trade_id", trade_id)
    return replace(
        trade,
        kind=np.array([kind], dtype=np.uint8),
        trade_id=np.array([number]),
        text=np.array([text], dtype=object),
        flags=np.array([flags], dtype=np.uint8),
    )


def _values(bust: Bust, trade: Rows) -> dict[str, str | int]:
    return {
        "name": bust.instrument,
        "venue": str(trade.venue[0]),
        "id": bust.corrected_id,
        "original": bust.trade_id,
        "time_us": int(trade.time_us[0]),
        "received_us": bust.receive_time_us,
        "sequence": bust.sequence,
    }
