"""Two lines through pivots, the upper one broken: the basis of triangles and channels."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import Final

import numpy as np

from shared.analysis.candle_series import Bools, Floats, Ints, chosen
from shared.analysis.detectors.shape import Shape
from shared.analysis.detectors.tape import Tape
from shared.analysis.detectors.view import View

UPPER_BACK, LOWER_BACK = np.array(list(product((1, 2, 3), (1, 2, 3)))).T
"""Pivots searched from each line's last point to its first."""
SPAN: Final = 10
"""Minimum number of candles from the first point to the breakout."""
HEIGHT: Final = 3.0
"""Minimum distance of the lines at their start, in typical ranges."""
OUTSIDE: Final = 0.1
"""Maximum distance of an earlier close outside the lines, as a fraction of the height."""


@dataclass(frozen=True)
class Line:
    """k lines in log units: through `value` at `place` with a `slope` per candle.

    `step` is the difference of the two points it was drawn through.
    """

    place: Ints
    value: Ints
    slope: Floats
    step: Ints

    @classmethod
    def through(cls, values: Ints, first: Ints, last: Ints) -> Line:
        """Draw a line through values[first] and values[last], first < last."""
        step = values[last] - values[first]
        slope = step.astype(np.float64) / (last - first)
        return cls(last, values[last], slope, step)

    def at(self, position: Ints) -> Floats:
        """Return its value at each position."""
        height: Floats = self.value.astype(np.float64) + self.slope * (position - self.place)
        return height


@dataclass(frozen=True)
class Broken:
    """k pairs of lines whose upper one a close breaks; columns have shape [k], in log units.

    `height` is the distance of the lines at `begin`; the rises are those over the whole pattern.
    """

    row: Ints
    begin: Ints
    upper: Line
    height: Floats
    upper_rise: Floats
    lower_rise: Floats
    fit: Floats
    beyond: Floats

    def shape(self, mask: Bools) -> Shape:
        """Return those of one pattern."""
        height = np.rint(self.height).astype(np.int64)
        return chosen(Shape(self.row, self.begin, self.fit, height, self.beyond), mask)


def broken_lines(tape: Tape, view: View) -> Broken:
    """Find all pairs of lines that a close breaks upwards.

    - Each line goes through the last pivot on its side and one of up to 3 before it; the points of
      the two sides overlap in time, and the pattern is 10 candles or longer.
    - Where the pattern begins the lines are 3 typical ranges or more apart; no close before the
      breakout is outside of them by more than 10 % of that.
    - The close is above the upper line, the one before was not.
    - The fit is 1 when no close was outside, 0 at the limit.
    """
    peaks, troughs = view.peaks, view.mirror.peaks
    above = view.close[tape.at] > view.close[tape.at - 1]
    number, row = np.nonzero(peaks.there[UPPER_BACK] & troughs.there[LOWER_BACK] & above)
    high_first, high_last = peaks.places[UPPER_BACK[number], row], peaks.places[0, row]
    low_first, low_last = troughs.places[LOWER_BACK[number], row], troughs.places[0, row]
    at, begin = tape.at[row], np.minimum(high_first, low_first)
    upper = Line.through(view.high, high_first, high_last)
    lower = Line.through(view.low, low_first, low_last)
    height = upper.at(begin) - lower.at(begin)
    mask = (
        (view.close[at] > upper.at(at))
        & (view.close[at - 1] <= upper.at(at - 1))
        & (height >= HEIGHT * tape.typical_range[row])
        & (low_last > high_first)
        & (high_last > low_first)
        & (at - begin >= SPAN)
    )
    row, at, begin, height = row[mask], at[mask], begin[mask], height[mask]
    upper, lower = chosen(upper, mask), chosen(lower, mask)
    outside = _outside(view, begin, at - 1, upper, lower) / height
    inside = outside <= OUTSIDE
    row, at, begin, height = row[inside], at[inside], begin[inside], height[inside]
    upper, lower = chosen(upper, inside), chosen(lower, inside)
    return Broken(
        row,
        begin,
        upper,
        height,
        upper.slope * (at - begin),
        lower.slope * (at - begin),
        1.0 - outside[inside] / OUTSIDE,
        view.close[at] - upper.at(at),
    )


def _outside(view: View, begin: Ints, end: Ints, upper: Line, lower: Line) -> Floats:
    """Return the largest distance of a close outside the lines, from begin to end; 0 if none."""
    if not len(begin):
        return np.zeros(0)
    position = begin[:, None] + np.arange(int((end - begin).max()) + 1)
    position = np.minimum(position, end[:, None])
    close = view.close[position]

    def line(each: Line) -> Floats:
        heights: Floats = each.value[:, None] + each.slope[:, None] * (
            position - each.place[:, None]
        )
        return heights

    farthest: Floats = np.maximum(close - line(upper), line(lower) - close).max(axis=1)
    return np.maximum(farthest, 0.0)
