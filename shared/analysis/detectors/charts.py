"""Chart patterns: each detector with the names of its upright and mirrored pattern."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np

from shared.analysis.candle_series import Bools
from shared.analysis.detectors.double_top import double_top
from shared.analysis.detectors.flag import bull_flag
from shared.analysis.detectors.flat_top import flat_top_breakout
from shared.analysis.detectors.head_and_shoulders import head_and_shoulders
from shared.analysis.detectors.lines import Broken, broken_lines
from shared.analysis.detectors.reversal import bullish_reversal
from shared.analysis.detectors.settings import DetectorSettings
from shared.analysis.detectors.shape import Shape, findings
from shared.analysis.detectors.tape import LOG_UNIT, Tape
from shared.analysis.detectors.triangle import (
    ascending_triangle,
    channel_breakout,
    symmetrical_triangle,
)
from shared.analysis.detectors.view import View
from shared.analysis.finding import Findings


@dataclass(frozen=True)
class Chart:
    """A pattern's name upright, its name in the mirror, and its direction upright."""

    pattern: str
    mirrored: str
    direction: int


_SHAPES: Final[dict[Chart, Callable[[Tape, View, int], Shape]]] = {
    Chart("flat_top_breakout", "flat_bottom_breakdown", 1): flat_top_breakout,
    Chart("bullish_reversal", "bearish_reversal", 1): bullish_reversal,
    Chart("double_top", "double_bottom", -1): double_top,
    Chart("bull_flag", "bear_flag", 1): bull_flag,
    Chart("head_and_shoulders", "inverse_head_and_shoulders", -1): head_and_shoulders,
}
_LINES: Final[dict[Chart, Callable[[Broken, int], Bools]]] = {
    Chart("ascending_triangle", "descending_triangle", 1): ascending_triangle,
    Chart("symmetrical_triangle", "symmetrical_triangle", 1): symmetrical_triangle,
    Chart("channel_breakout", "channel_breakout", 1): channel_breakout,
}

CHARTS: Final = tuple(
    sorted({name for chart in (*_SHAPES, *_LINES) for name in (chart.pattern, chart.mirrored)})
)
"""The names of all chart patterns."""


def charts(tape: Tape, settings: DetectorSettings) -> Iterator[Findings]:
    """Yield the findings of the selected chart patterns.

    The tolerance becomes a difference of logarithms, log(1 + tolerance), the same up and down.
    """
    tolerance = int(np.rint(np.log1p(settings.tolerance) / LOG_UNIT))
    patterns = settings.patterns
    for view, sign in ((tape.upright, 1), (tape.upright.mirror, -1)):
        lines: Broken | None = None
        for chart in (*_SHAPES, *_LINES):
            name = chart.pattern if sign > 0 else chart.mirrored
            if patterns is not None and name not in patterns:
                continue
            if chart in _SHAPES:
                shape = _SHAPES[chart](tape, view, tolerance)
            else:
                lines = lines or broken_lines(tape, view)
                shape = lines.shape(_LINES[chart](lines, tolerance))
            if len(shape.row):
                yield findings(tape, name, sign * chart.direction, shape)
