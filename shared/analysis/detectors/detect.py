"""All detectors over new candles: each evaluated from the candles that end with it.

So a pattern never repaints: feeding candles one by one gives what feeding all of them at once does.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import Final

from shared.analysis.candle_series import Candles
from shared.analysis.detectors.candlestick_table import CANDLESTICKS
from shared.analysis.detectors.candlesticks import candlesticks
from shared.analysis.detectors.charts import CHARTS, charts
from shared.analysis.detectors.settings import DetectorSettings
from shared.analysis.detectors.tape import Tape
from shared.analysis.finding import Finding

PATTERNS: Final = tuple(each.pattern for each in CANDLESTICKS) + CHARTS
"""The names of all patterns."""


def detect(candles: Candles, first: int, settings: DetectorSettings) -> list[Finding]:
    """Return the patterns that candles[first:] complete, by completing candle, then by name.

    A candle is evaluated from at most `settings.lookback` candles up to it, once there are 10.
    """
    return detect_many([(candles, first)], settings)[0]


def detect_many(
    series: Sequence[tuple[Candles, int]], settings: DetectorSettings
) -> list[list[Finding]]:
    """Return the patterns of each series; one call for many is far cheaper than many calls."""
    patterns: list[list[Finding]] = [[] for _ in series]
    if not series:
        return patterns
    tape = Tape.of(series, settings.lookback)
    if not len(tape.at):
        return patterns
    for findings in chain(candlesticks(tape, settings), charts(tape, settings)):
        findings.add_to(patterns, tape, series, settings.min_confidence)
    for each in patterns:
        each.sort(key=lambda one: (one.index, one.pattern, one.direction))
    return patterns
