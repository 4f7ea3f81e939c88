"""A tape's log prices seen upright, or upside down: a pattern's mirror image is itself there."""

from __future__ import annotations

from functools import cached_property

import numpy as np

from shared.analysis.candle_series import Ints
from shared.analysis.detectors.extremes import RangeMaximum
from shared.analysis.detectors.pivots import Pivots, pivots


class View:
    """Log prices in whole units, and their extremes between places on the tape.

    Upside down is the negated logarithm, that is the price p as 1/p; highs and lows change places.
    So a detector is written once, and what it finds in the mirror is its counterpart, exactly.
    """

    def __init__(
        self,
        log_prices: tuple[Ints, Ints, Ints, Ints],
        at: Ints,
        window: Ints,
        lookback: int,
        mirror: View | None = None,
    ) -> None:
        self.open, self.high, self.low, self.close = log_prices
        self._at, self._window, self._lookback = at, window, lookback
        upside_down = (-self.open, -self.low, -self.high, -self.close)
        self.mirror = mirror or View(upside_down, at, window, lookback, self)

    @cached_property
    def _highest(self) -> RangeMaximum:
        return RangeMaximum(self.high, self._lookback)

    @cached_property
    def _highest_close(self) -> RangeMaximum:
        return RangeMaximum(self.close, self._lookback)

    @cached_property
    def peaks(self) -> Pivots:
        """The local highs before each evaluated place; the mirror's are the local lows."""
        return pivots(self.high, self._at, self._window)

    def highest(self, first: Ints, last: Ints) -> Ints:
        """Highest high from first to last, both included; shapes as given."""
        return self._highest(first, last)

    def lowest(self, first: Ints, last: Ints) -> Ints:
        """Lowest low from first to last."""
        return -self.mirror.highest(first, last)

    def highest_close(self, first: Ints, last: Ints) -> Ints:
        """Highest close from first to last."""
        return self._highest_close(first, last)

    def lowest_close(self, first: Ints, last: Ints) -> Ints:
        """Lowest close from first to last."""
        return -self.mirror.highest_close(first, last)

    def place_of_lowest(self, first: Ints, last: Ints) -> Ints:
        """Return where the (last) lowest low from first to last is."""
        if not len(first):
            return first
        width = int((last - first).max()) + 1
        place = np.minimum(first[:, None] + np.arange(width), last[:, None])
        back = np.argmin(self.low[place][:, ::-1], axis=1)
        found: Ints = place[np.arange(len(first)), width - 1 - back]
        return found
