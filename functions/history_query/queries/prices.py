"""Pages of prices: the newest trades of an instrument, from stored ticks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from functions.history_query.api.cursors import TickCursor
from functions.history_query.api.parameters import TickPage
from functions.history_query.queries.tick_slices import TickSlices
from shared.candles.trades import MINUTE_US, Trades
from shared.market.decimals import from_mantissa, to_text
from shared.market.order import OrderKey

_FIRST_WIDTH_US: Final = MINUTE_US


@dataclass(frozen=True, slots=True)
class Price:
    """A trade's time in ms since 1970 and its price, as exact decimal text without an exponent."""

    time_ms: int
    price: str


@dataclass(frozen=True, slots=True)
class PricePages:
    """Reads pages of prices. Raises TransientError while Postgres is away."""

    slices: TickSlices

    def page(self, symbol: str, page: TickPage) -> tuple[list[Price], str | None]:
        """Return the last prices in the total order, newest first; a cursor if there are older.

        Each trade counts once.
        """
        to_us = page.to_us
        if page.before is not None:
            to_us = min(to_us, page.before.event_time_us + 1)
        prices: list[Price] = []
        oldest: OrderKey | None = None
        for part in self.slices.slices(symbol, page.from_us, to_us, _FIRST_WIDTH_US, newest=True):
            trades = part.trades
            rows = np.flatnonzero(_in_page(trades, page.from_us, to_us, page.before))
            room = page.limit - len(prices)
            if len(rows) and not room:
                assert oldest is not None
                return prices, TickCursor(oldest).text()
            selected = rows[max(len(rows) - room, 0) :][::-1]
            prices += _prices(trades, selected)
            if len(selected):
                oldest = trades.key_at(int(selected[-1]))
            if len(rows) > room:
                assert oldest is not None
                return prices, TickCursor(oldest).text()
        return prices, None


def _in_page(
    trades: Trades, from_us: int, to_us: int, before: OrderKey | None
) -> NDArray[np.bool_]:
    time = trades.rows.time_us
    inside = (time >= from_us) & (time < to_us)
    if before is not None:
        for row in np.flatnonzero(time == before.event_time_us).tolist():
            inside[row] &= trades.key_at(row) < before
    return inside


def _prices(trades: Trades, rows: NDArray[np.intp]) -> list[Price]:
    times = (trades.rows.time_us[rows] // 1000).tolist()
    mantissas = trades.price[rows].tolist()
    return [
        Price(time, to_text(from_mantissa(mantissa, trades.price_scale)))
        for time, mantissa in zip(times, mantissas, strict=True)
    ]
