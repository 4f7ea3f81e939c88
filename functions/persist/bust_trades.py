"""Look up the trade that a cancel or correction refers to, in Postgres and in the lake."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import closing
from dataclasses import dataclass
from typing import Final

import numpy as np
from psycopg import Connection

from shared.candles.trades import MINUTE_US, Rows, concatenated
from shared.inputs.text.line import read_trade_id
from shared.lake.reading.cold import Cold
from shared.lake.reading.plan import Plan, plan_ticks
from shared.market.order import NO_ORDER_ID, OrderKey, source_key
from shared.reading.ranges import COARSE_US, rows_of_range
from shared.wire.busts import Bust
from shared.wire.ticks import ENDING, INTEGER_ID

REACH_US: Final = 2 * 86_400_000_000
"""Search range, before the instrument's last tick, for a bust without a trade time."""

_LAST: Final = "SELECT last_time_us FROM first_ticks WHERE instrument = %s"

Read = Generator[tuple[int, int, Rows]]


def find(connection: Connection, bust: Bust, cold: Cold | None = None) -> Rows | str | None:
    """Return the trade, a row; None where none has the id; or why it is ambiguous.

    Of several minutes that have one of the id the last is meant; of a trade that
    was sent several times the first in the total order. Without `cold` a trade that may be in the
    lake is none. Raises TransientError while object storage is away.
    """
    if bust.event_time_us:
        from_us = bust.event_time_us - bust.event_time_us % MINUTE_US
        until_us = from_us + MINUTE_US
    else:
        row = connection.execute(_LAST, (bust.instrument,)).fetchone()
        if row is None:
            return None
        from_us, until_us = int(row[0]) - REACH_US, int(row[0]) + 2 * COARSE_US
    trades = _Trades(connection, bust, cold)
    newest = trades.newest(from_us, until_us)
    if newest is None:
        return None
    minute_us = newest - newest % MINUTE_US
    trade = trades.of_minute(minute_us)
    if len(venues := sorted(set(trade.venue.tolist()))) > 1:
        return f"{venues} each have a trade {bust.trade_id} of {bust.instrument}: say the `venue`"
    first = min(range(len(trade)), key=lambda row: _key(trade, row))
    return trade.at(np.array([first]))


@dataclass(frozen=True, slots=True)
class _Trades:
    """The prints that have a bust's id and venue, in Postgres and the lake."""

    connection: Connection
    bust: Bust
    cold: Cold | None

    def newest(self, from_us: int, until_us: int) -> int | None:
        """Return the time of the last one in [from_us, until_us); None: none, or `cold` tells."""
        plan = plan_ticks(self.connection, from_us, until_us)
        newest_us = self._newest(self._hot(plan, from_us, until_us, newest=True), from_us, until_us)
        if not plan.is_hot and newest_us < plan.cold[1]:
            if self.cold is None:
                return None
            with self.cold.scan():
                read = self.cold.rows(plan, self.bust.instrument, from_us, until_us, newest=True)
                newest_us = max(newest_us, self._newest(read, from_us, until_us))
        return None if newest_us < 0 else newest_us

    def of_minute(self, minute_us: int) -> Rows:
        """Return the prints of a minute; without `cold` those in Postgres only."""
        until_us = minute_us + MINUTE_US
        plan = plan_ticks(self.connection, minute_us, until_us)
        with closing(self._hot(plan, minute_us, until_us, newest=False)) as read:
            parts = [self._prints(rows) for _, _, rows in read]
        if not plan.is_hot and self.cold is not None:
            with self.cold.scan():
                read_cold = self.cold.rows(plan, self.bust.instrument, minute_us, until_us)
                parts += [self._prints(rows) for _, _, rows in read_cold]
        trades = concatenated(parts)
        return trades.at(trades.time_us // MINUTE_US == minute_us // MINUTE_US)

    def _prints(self, rows: Rows) -> Rows:
        return prints_of(rows, self.bust.trade_id, self.bust.venue)

    def _hot(self, plan: Plan, from_us: int, until_us: int, *, newest: bool) -> Read:
        name = self.bust.instrument
        return rows_of_range(self.connection, name, from_us, until_us, plan, newest=newest)

    def _newest(self, read: Read, from_us: int, until_us: int) -> int:
        """Return the newest time of rows that come newest first, -1 if none."""
        newest_us = -1
        with closing(read):
            for _, last_us, rows in read:
                if newest_us >= 0 and last_us < newest_us - newest_us % MINUTE_US:
                    break
                time_us = self._prints(rows).time_us
                inside = time_us[(time_us >= from_us) & (time_us < until_us)]
                newest_us = max(newest_us, int(inside.max(initial=-1)))
        return newest_us


def prints_of(rows: Rows, trade_id: str, venue: str | None) -> Rows:
    """Return the prints that have the id, and the venue unless it is None."""
    kind, number, text = read_trade_id("trade_id", trade_id)
    mask = (rows.kind == kind) & ((rows.flags & ENDING) == 0)
    mask &= rows.trade_id == number if kind == INTEGER_ID else (rows.text == text).astype(bool)
    if venue is not None:
        mask &= (rows.venue == venue).astype(bool)
    return rows.at(mask)


def _key(rows: Rows, row: int) -> OrderKey:
    return OrderKey(
        int(rows.time_us[row]),
        int(rows.trade_id[row]) if rows.kind[row] == INTEGER_ID else NO_ORDER_ID,
        int(rows.receive_us[row]),
        source_key(str(rows.source[row])),
        int(rows.sequence[row]),
    )
