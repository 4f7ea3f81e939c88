"""Bullish reversal and, in the mirror, bearish reversal."""

from __future__ import annotations

from typing import Final

import numpy as np

from shared.analysis.candle_series import chosen
from shared.analysis.detectors.shape import Shape
from shared.analysis.detectors.tape import TREND_OVER, Tape
from shared.analysis.detectors.view import View

FELL: Final = 1.0
"""Minimum fall before it, in typical ranges x sqrt(candles)."""
LOWEST_OF: Final = 20
"""Number of candles of which the low is the lowest."""
UPPER: Final = 2 / 3
"""Minimum position of the close within the candle's range."""


def bullish_reversal(tape: Tape, view: View, tolerance: int) -> Shape:
    """Find a new low after a fall, and a strong close above the high of the candle before.

    - The close of two candles before is below that of up to 10 earlier by a typical range x
      sqrt(candles) or more: about 3 typical ranges over 10.
    - The lower low of the last two candles is the lowest of 20, or above it by no more than
      `tolerance` (log units) and a quarter of a typical range: the low is tested.
    - The completing candle is of typical range or more, and closes above the high of the candle
      before and in the upper third of its own range.

    The key reversal day of Edwards and Magee, over two candles, the trend being a condition.
    """
    row = np.flatnonzero(tape.at - 4 >= tape.window)
    row = row[view.close[tape.at[row]] > view.high[tape.at[row] - 1]]
    at = tape.at[row]
    begin = np.maximum(tape.window[row], at - 2 - TREND_OVER)
    fall = view.close[begin] - view.close[at - 2]
    extent = view.high[at] - view.low[at]
    up = view.close[at] - view.low[at]
    low = view.lowest(at - 1, at)
    before = view.lowest(np.maximum(tape.window[row], at - LOWEST_OF), at - 2)
    typical = tape.typical_range[row]
    mask = (
        (fall >= FELL * typical * np.sqrt(at - 2 - begin))
        & (low - before <= np.minimum(tolerance, 0.25 * typical))
        & (extent >= typical)
        & (up >= UPPER * extent)
    )
    fit = (up / np.maximum(extent, 1) - UPPER) / (1 - UPPER)
    return chosen(Shape(row, begin, fit, fall, view.close[at] - view.high[at - 1]), mask)
