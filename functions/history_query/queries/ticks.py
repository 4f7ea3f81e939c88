"""Pages of raw ticks: each trade once, in the total order, forwards or backwards."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from functions.history_query.api.parameters import TickPage
from functions.history_query.queries.tick_slices import TickSlices
from shared.candles.trades import MINUTE_US, Trades
from shared.market.order import OrderKey

_AT_ONCE: Final = 2_000


@dataclass(frozen=True, slots=True)
class TickPages:
    """Reads pages of ticks. Raises TransientError while a store is away.

    `ended`: cancelled and corrected ones too.
    """

    slices: TickSlices
    ended: bool = True

    def whole(self, symbol: str, page: TickPage) -> Iterator[Trades]:
        """Yield all ticks of the page's range in ascending batches, regardless of its limit."""
        from_us, to_us = _bounds(page)
        for part in self.slices.slices(symbol, from_us, to_us, MINUTE_US, newest=False):
            rows = np.flatnonzero(_in_page(part.trades, from_us, to_us, page))
            for first in range(0, len(rows), _AT_ONCE):
                yield part.trades.at(rows[first : first + _AT_ONCE])

    def page(self, symbol: str, page: TickPage) -> tuple[list[Trades], OrderKey | None]:
        """Return ticks ascending, and the key of the last one read if there are more beyond it.

        Each part has its own decimal scales.
        """
        newest = page.newest
        from_us, to_us = _bounds(page)
        parts: list[Trades] = []
        room = page.limit
        edge: OrderKey | None = None
        slices = self.slices.slices(
            symbol, from_us, to_us, MINUTE_US, newest=newest, count=page.limit
        )
        for source in slices:
            trades = source.trades if self.ended else source.trades.standing()
            rows = np.flatnonzero(_in_page(trades, from_us, to_us, page))
            selected = rows[max(len(rows) - room, 0) :] if newest else rows[:room]
            if len(selected):
                part = trades.at(selected)
                parts = [part, *parts] if newest else [*parts, part]
                room -= len(part)
                edge = trades.key_at(int(selected[0 if newest else -1]))
            if len(rows) > len(selected):
                return parts, edge
        return parts, None


def _bounds(page: TickPage) -> tuple[int, int]:
    from_us, to_us = page.from_us, page.to_us
    if page.before is not None:
        to_us = min(to_us, page.before.event_time_us + 1)
    if page.after is not None:
        from_us = max(from_us, page.after.event_time_us)
    return from_us, to_us


def _in_page(trades: Trades, from_us: int, to_us: int, page: TickPage) -> NDArray[np.bool_]:
    time = trades.rows.time_us
    inside = (time >= from_us) & (time < to_us) & trades.prints
    if page.before is not None:
        for row in np.flatnonzero(time == page.before.event_time_us).tolist():
            inside[row] &= trades.key_at(row) < page.before
    if page.after is not None:
        for row in np.flatnonzero(time == page.after.event_time_us).tolist():
            inside[row] &= trades.key_at(row) > page.after
    return inside
