"""A tape's log prices, upright or inverted: mirrored patterns are found by inversion."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np

from shared.analysis.candle_series import Bools, Ints

SIDE: Final = 2
"""Candles on each side that a pivot exceeds (Williams, Trading Chaos: a fractal)."""


RECENT: Final = 7
"""Number of pivots a detector may look back."""


@dataclass(frozen=True)
class Pivots:
    """The last pivots before each of m positions, the last first.

    `places` [RECENT, m] on the tape; `there` [RECENT, m] whether it exists and is known inside the
    window of the position.
    """

    places: Ints
    there: Bools


def pivots(high: Ints, at: Ints, window: Ints) -> Pivots:
    """Find the pivots of a tape that are known at each position.

    A pivot is above the two candles before it and not below the two after it, so it is known two
    candles later; of equal highs the first is the pivot.
    """
    positions = np.flatnonzero(_stands_out(high))
    number = np.searchsorted(positions, at - SIDE, side="right") - 1 - np.arange(RECENT)[:, None]
    if not len(positions):
        return Pivots(np.zeros_like(number), np.zeros(number.shape, dtype=np.bool_))
    position = positions[np.maximum(number, 0)]
    return Pivots(position, (number >= 0) & (position - SIDE >= window))


def _stands_out(high: Ints) -> Bools:
    n = len(high)
    is_pivot = np.zeros(n, dtype=np.bool_)
    if n > 2 * SIDE:
        middle = high[SIDE : n - SIDE]
        is_pivot[SIDE : n - SIDE] = True
        for step in range(1, SIDE + 1):
            is_pivot[SIDE : n - SIDE] &= middle > high[SIDE - step : n - SIDE - step]
            is_pivot[SIDE : n - SIDE] &= middle >= high[SIDE + step : n - SIDE + step]
    return is_pivot


class RangeMaximum:
    """Computes max(values[first : last + 1]) for arrays of bounds with two look-ups each.

    Levels hold the maxima of 1, 2, 4, ... values from each position on (Bender and Farach-Colton,
    The LCA Problem Revisited, 2000). `longest` bounds the length of ranges.
    """

    def __init__(self, values: Ints, longest: int) -> None:
        self._levels = np.empty((longest.bit_length(), len(values)), dtype=np.int64)
        self._levels[0] = values
        for level in range(1, len(self._levels)):
            width = 1 << (level - 1)
            before, wider = self._levels[level - 1], self._levels[level]
            np.maximum(before[:-width], before[width:], out=wider[:-width])
            wider[-width:] = before[-width:]
        self._level_of = np.array([max(0, n.bit_length() - 1) for n in range(longest + 1)])

    def __call__(self, first: Ints, last: Ints) -> Ints:
        """Return the maxima; every range has 1 to `longest` positions."""
        level = self._level_of[last - first + 1]
        maximum: Ints = np.maximum(
            self._levels[level, first], self._levels[level, last - (1 << level) + 1]
        )
        return maximum


class View:
    """Log prices in whole units, and their extremes between positions on the tape.

    Inverted, it is the negated logarithm, that is the price p as 1/p, with highs and lows swapped.
    So a detector is written once and finds the mirrored pattern exactly.
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

    def lowest_close(self, first: Ints, last: Ints) -> Ints:
        """Lowest close from first to last."""
        return -self.mirror._highest_close(first, last)

    def lowest_position(self, first: Ints, last: Ints) -> Ints:
        """Return the position of the (last) lowest low from first to last."""
        if not len(first):
            return first
        width = int((last - first).max()) + 1
        position = np.minimum(first[:, None] + np.arange(width), last[:, None])
        back = np.argmin(self.low[position][:, ::-1], axis=1)
        lowest: Ints = position[np.arange(len(first)), width - 1 - back]
        return lowest
