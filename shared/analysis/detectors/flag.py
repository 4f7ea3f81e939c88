"""Bull flag and, in the mirror, bear flag."""

from __future__ import annotations

from typing import Final

import numpy as np

from shared.analysis.detectors.shape import Shape
from shared.analysis.detectors.tape import Tape
from shared.analysis.detectors.view import View

SHORTEST, LONGEST = 4, 15
"""Candles of the flag."""
POLE: Final = 8
"""Maximum number of candles of the pole."""
STEEP: Final = 4.0
"""Minimum height of the pole in typical ranges."""
SHALLOW, DEEP = 0.1, 0.5
"""Fraction of the pole that the flag retraces."""


def bull_flag(tape: Tape, view: View, tolerance: int) -> Shape:
    """Find a steep rise, a rest that gives little of it back, and the first close above the rest.

    - The pole rises 4 typical ranges or more in at most 8 candles, and its top is the highest high
      until the breakout's candle.
    - The flag, 4 to 15 candles after the top, gives back 10 to 50 % of the pole. It drifts sideways
      or down: the highs of its later half are not above those of its earlier half by more than
      `tolerance` (log units) and a tenth of the pole.
    - The close is above all highs of the flag.

    After Edwards and Magee; Bulkowski, Encyclopedia of Chart Patterns, has flags of up to three
    weeks of daily candles.
    """
    length = np.arange(SHORTEST, LONGEST + 1)[:, None]
    above = view.close[tape.at] > view.high[tape.at - 1]
    number, row = np.nonzero((tape.at - 2 - length >= tape.window) & above)
    at = tape.at[row]
    top = at - 1 - length[number, 0]
    level = view.highest(top + 1, at - 1)
    begin = np.maximum(tape.window[row], top - POLE)
    broken = (view.close[at] > level) & (view.high[top] > level)
    broken &= view.high[top] >= view.highest(begin, top)
    row, at, top, level, begin = (each[broken] for each in (row, at, top, level, begin))

    pole = view.high[top] - view.lowest(begin, top)
    given_back = (view.high[top] - view.lowest(top + 1, at - 1)) / np.maximum(pole, 1)
    half = (top + at - 1) // 2
    climbed = view.highest(half + 1, at - 1) - view.highest(top + 1, half)
    mask = (
        (pole >= STEEP * tape.typical_range[row])
        & (given_back >= SHALLOW)
        & (given_back <= DEEP)
        & (climbed <= np.minimum(tolerance, 0.1 * pole))
    )
    middle = (SHALLOW + DEEP) / 2
    return Shape(
        row[mask],
        view.lowest_position(begin[mask], top[mask]),
        1.0 - np.abs(given_back[mask] - middle) / (DEEP - middle),
        pole[mask],
        (view.close[at] - level)[mask],
    )
