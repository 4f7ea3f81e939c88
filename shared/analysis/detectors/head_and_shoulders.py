"""Head and shoulders and, in the mirror, its inverse."""

from __future__ import annotations

from itertools import product
from typing import Final

import numpy as np

from shared.analysis.candle_series import Floats, chosen
from shared.analysis.detectors.shape import Shape
from shared.analysis.detectors.tape import Tape
from shared.analysis.detectors.view import View

TO_HEAD, TO_LEFT = np.array(list(product((1, 2, 3), (1, 2, 3)))).T
"""Pivots searched from the right shoulder to the head, and from there to the left one."""
LEVEL_TOLERANCE: Final = 1 / 3
"""Maximum distance of shoulders, and of troughs, as a fraction of the height."""
HEAD: Final = 0.15
"""Minimum distance of head and higher shoulder, as a fraction of the height."""
SHOULDER: Final = 0.2
"""Minimum distance of lower shoulder and higher trough, as a fraction of the height."""
BALANCE: Final = 2.5
"""Maximum ratio of the lengths of the halves."""
HEIGHT: Final = 4.0
"""Minimum height in typical ranges."""
BEFORE: Final = 20
"""Candles before the left shoulder within which the price rose from below the neckline."""


def head_and_shoulders(tape: Tape, view: View, tolerance: int) -> Shape:
    """Find three tops, the middle one the highest, and the first close below both troughs.

    - The right shoulder is the last pivot high; head and left shoulder are among the pivots before.
      The head is the highest high since the left shoulder.
    - Shoulders are alike, and so are the troughs on both sides of the head: at most `tolerance`
      (log units) and a third of the height apart. The neckline is flat, at the lower trough, so
      that no slope is read into noise; the height, from there to the head, is 4 typical ranges.
    - The head is above the shoulders by 15 % of the height, they above the troughs by 20 %.
    - Neither half is more than 2.5 times as long as the other.
    - The price came from the neckline or below within the 20 candles before the left shoulder.
    - The close is the first below the neckline since the right shoulder.

    After Edwards and Magee, and the head and shoulders (HS) of Lo, Mamaysky and Wang,
    Foundations of Technical Analysis (2000), who allow 1.5 % for shoulders and troughs.
    """
    peaks = view.peaks
    number, row = np.nonzero(peaks.there[TO_HEAD + TO_LEFT])
    left = peaks.places[TO_HEAD[number] + TO_LEFT[number], row]
    head, right = peaks.places[TO_HEAD[number], row], peaks.places[0, row]
    trough_left, trough_right = view.lowest(left, head), view.lowest(head, right)
    neck = np.minimum(trough_left, trough_right)
    broken = (view.close[tape.at[row]] < neck) & (
        view.lowest_close(right, tape.at[row] - 1) >= neck
    )
    row, left, head, right, trough_left, trough_right, neck = (
        each[broken] for each in (row, left, head, right, trough_left, trough_right, neck)
    )
    shoulders = view.high[left], view.high[right]
    height = view.high[head] - neck
    allowed: Floats = np.minimum(tolerance, LEVEL_TOLERANCE * height)
    uneven = np.abs(shoulders[0] - shoulders[1])
    tilted = np.abs(trough_left - trough_right)
    halves = head - left, right - head
    came_from = view.lowest(np.maximum(tape.window[row], left - BEFORE), left)
    mask = (
        (view.highest(left, tape.at[row]) <= view.high[head])
        & (uneven <= allowed)
        & (tilted <= allowed)
        & (height >= HEIGHT * tape.typical_range[row])
        & (view.high[head] - np.maximum(*shoulders) >= HEAD * height)
        & (np.minimum(*shoulders) - np.maximum(trough_left, trough_right) >= SHOULDER * height)
        & (np.maximum(*halves) <= BALANCE * np.minimum(*halves))
        & (came_from <= neck)
    )
    fit = 1.0 - (uneven + tilted) / (2 * np.maximum(allowed, 1.0))
    return chosen(Shape(row, left, fit, height, neck - view.close[tape.at[row]]), mask)
