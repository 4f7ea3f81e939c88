"""The largest value between two places, for many pairs of places at once (a sparse table)."""

from __future__ import annotations

import numpy as np

from shared.analysis.candle_series import Ints


class RangeMaximum:
    """Answers max(values[first : last + 1]) for arrays of bounds, two look-ups each.

    Levels hold the maxima of 1, 2, 4, ... values from each place on (Bender and Farach-Colton, The
    LCA Problem Revisited, 2000). `longest` bounds the ranges that are asked for.
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
        """Return the maxima; every range has at least one and at most `longest` places."""
        level = self._level_of[last - first + 1]
        found: Ints = np.maximum(
            self._levels[level, first], self._levels[level, last - (1 << level) + 1]
        )
        return found
