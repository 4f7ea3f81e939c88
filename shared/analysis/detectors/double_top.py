"""Double top and, in the mirror, double bottom."""

from __future__ import annotations

from typing import Final

import numpy as np

from shared.analysis.candle_series import chosen
from shared.analysis.detectors.shape import Shape
from shared.analysis.detectors.tape import Tape
from shared.analysis.detectors.view import View

CANDIDATES: Final = 4
"""Number of earlier pivots considered as the first top."""
APART: Final = 5
"""Minimum number of candles between the tops."""
LEVEL_TOLERANCE: Final = 0.25
"""Maximum distance of the tops as a fraction of the height, if below the tolerance."""
HEIGHT: Final = 3.0
"""Minimum height in typical ranges."""
BEFORE: Final = 20
"""Candles before the first top within which the price rose to it."""


def double_top(tape: Tape, view: View, tolerance: int) -> Shape:
    """Two tops at one level, and the first close below the low between them.

    - The second top is the last pivot high, the first one of up to 4 before, 5 candles apart or
      more; no high from the first on is above both.
    - They are at most `tolerance` (log units) and a quarter of the height apart; the height, from
      the lower top to the lowest low between (the neckline), is at least 3 typical ranges.
    - The price had risen to the first top by the height within the 20 candles before.
    - The close is the first below the neckline since the second top.

    After Edwards and Magee, Technical Analysis of Stock Trends, and the double top (DTOP) of Lo,
    Mamaysky and Wang, Foundations of Technical Analysis (2000).
    """
    peaks = view.peaks
    back, row = np.nonzero(peaks.there[1 : CANDIDATES + 1])
    at, first, second = tape.at[row], peaks.places[back + 1, row], peaks.places[0, row]
    neck = view.lowest(first, second)
    broken = (view.close[at] < neck) & (second - first >= APART)
    broken &= view.lowest_close(second, at - 1) >= neck
    row, at, first, second, neck = (each[broken] for each in (row, at, first, second, neck))

    tops = view.high[first], view.high[second]
    height = np.minimum(*tops) - neck
    apart = np.abs(tops[0] - tops[1])
    allowed = np.minimum(tolerance, LEVEL_TOLERANCE * height)
    risen = tops[0] - view.lowest(np.maximum(tape.window[row], first - BEFORE), first)
    mask = (
        (apart <= allowed)
        & (view.highest(first, at) <= np.maximum(*tops))
        & (height >= HEIGHT * tape.typical_range[row])
        & (risen >= height)
    )
    fit = 1.0 - apart / np.maximum(allowed, 1.0)
    return chosen(Shape(row, first, fit, height, neck - view.close[at]), mask)
