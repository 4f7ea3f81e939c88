"""Triangles and channels: classification of pairs of broken lines."""

from __future__ import annotations

from typing import Final

import numpy as np

from shared.analysis.candle_series import Bools
from shared.analysis.detectors.lines import Broken

FLAT: Final = 0.2
"""Maximum change of a flat line over the pattern, as a fraction of the height."""
STEEP: Final = 0.25
"""Minimum change of a sloping side of a triangle, as a fraction of the height."""
PARALLEL: Final = 0.2
"""Maximum change of a channel's width, as a fraction of the height."""
APEX: Final = 0.1
"""Minimum distance of a triangle's lines at the breakout, as a fraction of the height."""


def ascending_triangle(lines: Broken, tolerance: int) -> Bools:
    """Choose highs at one level, rising lows, and the first close above; the mirror is descending.

    The upper line's points are at most `tolerance` (log units) apart, it changes by no more than
    20 % of the height over the pattern, the lower one rises by 25 % or more; they have not met.
    After Edwards and Magee; Bulkowski, Encyclopedia of Chart Patterns.
    """
    flat = (np.abs(lines.upper.step) <= tolerance) & (
        np.abs(lines.upper_rise) <= FLAT * lines.height
    )
    return flat & (lines.lower_rise >= STEEP * lines.height) & _open(lines)


def symmetrical_triangle(lines: Broken, tolerance: int) -> Bools:
    """Choose falling highs, rising lows, and the first close above; in the mirror, below.

    Each line changes by 25 % of the height or more over the pattern; they have not met. The
    triangle (TTOP) of Lo, Mamaysky and Wang, completed by its breakout.
    """
    falling = -lines.upper_rise >= STEEP * lines.height
    return falling & (lines.lower_rise >= STEEP * lines.height) & _open(lines)


def channel_breakout(lines: Broken, tolerance: int) -> Bools:
    """Choose two parallel lines of any slope, and the first close above; in the mirror, below.

    The distance of the lines changes by no more than 20 % of the height over the pattern. The
    channel of Murphy, Technical Analysis of the Financial Markets.
    """
    parallel: Bools = np.abs(lines.upper_rise - lines.lower_rise) <= PARALLEL * lines.height
    return parallel


def _open(lines: Broken) -> Bools:
    is_open: Bools = lines.height + lines.upper_rise - lines.lower_rise >= APEX * lines.height
    return is_open
