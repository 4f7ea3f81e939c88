"""Flat top breakout and, in the mirror, flat bottom breakdown."""

from __future__ import annotations

from typing import Final

import numpy as np

from shared.analysis.candle_series import chosen
from shared.analysis.detectors.shape import Shape
from shared.analysis.detectors.tape import Tape
from shared.analysis.detectors.view import View

TOUCHES: Final = 3
"""Minimum number of pivot highs at the level."""
CANDIDATES: Final = 5
"""Number of last pivots searched for touches."""
LEVEL_TOLERANCE: Final = 0.25
"""Maximum distance of a touch below the level, as a fraction of the height."""
HEIGHT: Final = 2.5
"""Minimum height in typical ranges."""


def flat_top_breakout(tape: Tape, view: View, tolerance: int) -> Shape:
    """Find three or more highs at one level, and the first close above it.

    - The level is the highest high since the first touch. A touch is a pivot high at most
      `tolerance` (log units) and a quarter of the height below it; at least 3 of the last 5 pivots
      are touches, and the first of those looked at is one.
    - The height, from the level to the lowest low between the touches, is at least 2.5 typical
      ranges, and the support does not fall: the later half's lowest low is not below the earlier
      half's by more than a quarter of the height.
    - The close is above the level.

    The rectangle of Edwards and Magee, broken upwards; a horizontal resistance in Murphy, Technical
    Analysis of the Financial Markets.
    """
    peaks = view.peaks
    above = view.close[tape.at] > view.high[tape.at - 1]
    back, row = np.nonzero(peaks.there[TOUCHES - 1 : CANDIDATES] & above)
    back += TOUCHES - 1
    at, first, last = tape.at[row], peaks.places[back, row], peaks.places[0, row]
    level = view.highest(first, at - 1)
    broken = view.close[at] > level
    row, at, back, first, last, level = (
        each[broken] for each in (row, at, back, first, last, level)
    )
    height = level - view.lowest(first, last)
    allowed = np.minimum(tolerance, LEVEL_TOLERANCE * height)
    below = level - view.high[peaks.places[:CANDIDATES, row]]
    touch = (below <= allowed) & (np.arange(CANDIDATES)[:, None] <= back)
    touches = touch.sum(axis=0)
    half = (first + at - 1) // 2
    fell = view.lowest(first, half) - view.lowest(half + 1, at - 1)
    mask = (
        (touches >= TOUCHES)
        & (level - view.high[first] <= allowed)
        & (height >= HEIGHT * tape.typical_range[row])
        & (fell <= LEVEL_TOLERANCE * height)
    )
    distance = np.where(touch, below, 0).sum(axis=0)  # integers: exact in any order
    fit = 1.0 - distance / np.maximum(touches * allowed, 1.0)
    return chosen(Shape(row, first, fit, height, view.close[at] - level), mask)
