"""Pages of raw ticks: each trade once, in the total order, forwards or backwards."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from functions.history_query.api.parameters import TickPage
from functions.history_query.queries.tick_slices import TickSlices
from shared.candles.trades import MINUTE_US, Trades
from shared.market.decimals import from_mantissa, to_text
from shared.market.order import OrderKey
from shared.wire.ticks import (
    AUCTION,
    CORRECTED,
    INTEGER_ID,
    ODD_LOT,
    OUT_OF_SEQUENCE,
    TEXT_ID,
    VOLUME_ONLY,
)

COLUMNS: Final = ("t", "us", "time", "p", "s", "side", "id", "received", "flags", "ended")
_SIDES: Final = (None, "buy", "sell")
_FLAGS: Final = {
    VOLUME_ONLY: "volume_only",
    ODD_LOT: "odd_lot",
    AUCTION: "auction",
    OUT_OF_SEQUENCE: "out_of_sequence",
    CORRECTED: "corrected",
}


@dataclass(frozen=True, slots=True)
class TickPages:
    """Reads pages of ticks. Raises TransientError while a store is away."""

    slices: TickSlices

    def page(self, symbol: str, page: TickPage) -> tuple[list[Mapping[str, Any]], OrderKey | None]:
        """Return ticks ascending, and the last one read when there are more in its direction."""
        newest = page.newest
        from_us, to_us = page.from_us, page.to_us
        if page.before is not None:
            to_us = min(to_us, page.before.event_time_us + 1)
        if page.after is not None:
            from_us = max(from_us, page.after.event_time_us)
        found: list[Mapping[str, Any]] = []
        edge: OrderKey | None = None
        for some in self.slices.slices(symbol, from_us, to_us, MINUTE_US, newest=newest):
            trades = some.trades
            rows = np.flatnonzero(_wanted(trades, from_us, to_us, page))
            room = page.limit - len(found)
            chosen = rows[max(len(rows) - room, 0) :] if newest else rows[:room]
            if len(chosen):
                shown = [_row(trades, row) for row in chosen.tolist()]
                found = [*shown, *found] if newest else [*found, *shown]
                edge = trades.key_at(int(chosen[0 if newest else -1]))
            if len(rows) > len(chosen):
                return found, edge
        return found, None


def _wanted(trades: Trades, from_us: int, to_us: int, page: TickPage) -> NDArray[np.bool_]:
    time = trades.rows.time_us
    inside = (time >= from_us) & (time < to_us) & trades.prints
    if page.before is not None:
        for row in np.flatnonzero(time == page.before.event_time_us).tolist():
            inside[row] &= trades.key_at(row) < page.before
    if page.after is not None:
        for row in np.flatnonzero(time == page.after.event_time_us).tolist():
            inside[row] &= trades.key_at(row) > page.after
    return inside


def _row(trades: Trades, row: int) -> Mapping[str, Any]:
    rows = trades.rows
    kind, time_us = int(rows.kind[row]), int(rows.time_us[row])
    id_ = None
    if kind == INTEGER_ID:
        id_ = str(int(rows.trade_id[row]))
    elif kind == TEXT_ID:
        id_ = str(rows.text[row])
    return {
        "t": time_us // 1000,
        "us": time_us,
        "p": to_text(from_mantissa(int(trades.price[row]), trades.price_scale)),
        "s": to_text(from_mantissa(int(trades.size[row]), trades.size_scale)),
        "side": _SIDES[int(rows.side[row])],
        "id": id_,
        "received": int(rows.receive_us[row]) // 1000,
        "flags": _flags(int(rows.flags[row])),
        "ended": int(trades.ended_us[row]) // 1000 or None,
    }


@cache
def _flags(bits: int) -> str | None:
    """Return the names of the bits, with blanks between; None without one."""
    return " ".join(name for bit, name in _FLAGS.items() if bits & bit) or None
