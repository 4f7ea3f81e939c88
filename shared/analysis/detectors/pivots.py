"""Pivots: candles whose high stands above those of their neighbours."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from shared.analysis.candle_series import Bools, Ints

SIDE: Final = 2
"""Candles on either side that a pivot stands above (Williams, Trading Chaos: a fractal)."""


RECENT: Final = 7
"""How many pivots back a detector may look."""


@dataclass(frozen=True)
class Pivots:
    """The last pivots before each of m places, the last first.

    `places` [RECENT, m] on the tape; `there` [RECENT, m] whether there is one that is decided
    inside the window of the place.
    """

    places: Ints
    there: Bools


def pivots(high: Ints, at: Ints, window: Ints) -> Pivots:
    """Find the pivots of a tape that are known at each place.

    A pivot is above the two candles before it and not below the two after it, so it is known two
    candles later; of equal highs the first is the pivot.
    """
    places = np.flatnonzero(_stands_out(high))
    number = np.searchsorted(places, at - SIDE, side="right") - 1 - np.arange(RECENT)[:, None]
    if not len(places):
        return Pivots(np.zeros_like(number), np.zeros(number.shape, dtype=np.bool_))
    place = places[np.maximum(number, 0)]
    return Pivots(place, (number >= 0) & (place - SIDE >= window))


def _stands_out(high: Ints) -> Bools:
    n = len(high)
    stands = np.zeros(n, dtype=np.bool_)
    if n > 2 * SIDE:
        middle = high[SIDE : n - SIDE]
        stands[SIDE : n - SIDE] = True
        for step in range(1, SIDE + 1):
            stands[SIDE : n - SIDE] &= middle > high[SIDE - step : n - SIDE - step]
            stands[SIDE : n - SIDE] &= middle >= high[SIDE + step : n - SIDE + step]
    return stands
