"""All detectors over new candles: each evaluated from the candles that end with it.

So a pattern never repaints: feeding candles one by one gives what feeding all of them at once does.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import Final

import numpy as np

from shared.analysis.candle_series import Candles
from shared.analysis.detectors.candlestick_table import CANDLESTICKS
from shared.analysis.detectors.candlesticks import candlesticks
from shared.analysis.detectors.charts import CHARTS, charts
from shared.analysis.detectors.settings import DetectorSettings
from shared.analysis.detectors.tape import Tape
from shared.analysis.finding import Finding, Findings

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
        _collect(findings, tape, series, settings.min_confidence, patterns)
    for each in patterns:
        each.sort(key=lambda one: (one.index, one.pattern, one.direction))
    return patterns


def _collect(
    findings: Findings,
    tape: Tape,
    series: Sequence[tuple[Candles, int]],
    min_confidence: float,
    patterns: list[list[Finding]],
) -> None:
    """Append the findings that are confident enough to `patterns`."""
    confidence = np.round(findings.confidence, 4)
    confident = np.flatnonzero(confidence >= min_confidence)
    row = findings.row[confident]
    segment = tape.segment[row]
    end = tape.at[row] + tape.offset[segment]
    begin = findings.begin[confident] + tape.offset[segment]
    names = list(findings.features)
    columns = [np.round(findings.features[name][confident], 6).tolist() for name in names]
    rows = zip(
        findings.name[confident].tolist(),
        segment.tolist(),
        begin.tolist(),
        end.tolist(),
        findings.direction[confident].tolist(),
        confidence[confident].tolist(),
        *columns,
        strict=True,
    )
    for name, number, begin_index, index, direction, sure, *values in rows:
        start_us = series[number][0].start_us
        patterns[number].append(
            Finding(
                pattern=findings.names[name],
                index=index,
                begin_us=int(start_us[begin_index]),
                end_us=int(start_us[index]),
                direction=direction,
                confidence=sure,
                features=dict(zip(names, values, strict=True)),
            )
        )
