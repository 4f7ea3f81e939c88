"""Candlestick patterns: detected by TA-Lib, with a confidence from trend and volume."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np

from shared.analysis.candle_series import Floats, Ints
from shared.analysis.detectors.candlestick_table import CANDLESTICKS, Kind
from shared.analysis.detectors.candlestick_values import candlestick_values
from shared.analysis.detectors.settings import DetectorSettings
from shared.analysis.detectors.tape import Tape
from shared.analysis.finding import Findings

STRENGTH, TREND, VOLUME = 0.40, 0.35, 0.25
"""Weight of each part."""

HIKKAKE_WAITS: Final = 3
"""Candles within which a hikkake can be confirmed."""

_KINDS: Final = tuple(Kind)


def candlesticks(tape: Tape, settings: DetectorSettings) -> Iterator[Findings]:
    """Yield what the wanted ones of the 61 functions find, with their confidence.

    confidence = 0.40 strength + 0.35 trend + 0.25 volume, each from 0 to 1:

    - strength: half from TA-Lib (100: 1; 80, an engulfing or harami whose bodies touch: 0.8; half
      of that for indecision, which announces nothing by itself), half from size: the pattern's
      range against twice the typical range x sqrt(candles).
    - trend over the 10 candles before the pattern, in typical ranges x sqrt(10): 0.5 without one,
      1 when it is full and as the kind wants it (against the direction for a reversal, with it for
      a continuation, any for indecision), 0 when it is full and the other way; always 0.5 for what
      may be either (kicking, hikkake).
    - volume of the completing candle against the mean of 20 before: 0.5 when equal, 1 from double.

    So a pattern of typical size, without trend and volume to go with it, comes to 0.6 at most.
    A candle of one price has no body and no shadow, so no pattern holds one; and none is found
    where nothing before it moved, since nothing says what is large there.
    A confirmed hikkake (200) is said to begin at the earliest candle it may have begun at.
    """
    functions = tuple(
        each
        for each in CANDLESTICKS
        if settings.patterns is None or each.pattern in settings.patterns
    )
    if not functions or not len(tape.at):
        return
    values = candlestick_values(tape, functions)
    function, row = np.nonzero(values * tape.varies)
    value = values[function, row].astype(np.int64)
    length = np.array([each.candles for each in functions])[function]
    length += np.where(np.abs(value) == 200, HIKKAKE_WAITS, 0)
    begin = np.maximum(tape.at[row] - length + 1, tape.window[row])
    drawn = tape.all_have_ranges(begin, tape.at[row])
    function, row, value, begin = (each[drawn] for each in (function, row, value, begin))
    signed = np.array([each.signed for each in functions])[function]
    kind = np.array([_KINDS.index(each.kind) for each in functions])[function]

    strength = _strength(tape, row, value, begin, kind)
    trend = _trend(tape, row, begin, np.sign(value), kind)
    volume = np.minimum(tape.volume_ratio[row] / 2, 1.0)
    yield Findings(
        names=tuple(each.pattern for each in functions),
        name=function,
        row=row,
        begin=begin,
        direction=np.where(signed, np.sign(value), 0),
        confidence=STRENGTH * strength + TREND * trend + VOLUME * volume,
        features={
            "value": value.astype(np.float64),
            "strength": strength,
            "trend": trend,
            "volume": volume,
        },
    )


def _strength(tape: Tape, row: Ints, value: Ints, begin: Ints, kind: Ints) -> Floats:
    """Strength by TA-Lib's value and by size."""
    at = tape.at[row]
    size = tape.upright.highest(begin, at) - tape.upright.lowest(begin, at)
    expected = 2 * tape.typical_range[row] * np.sqrt(at - begin + 1)
    clear = np.minimum(np.abs(value) / 100, 1.0)
    clear *= np.where(kind == _KINDS.index(Kind.INDECISION), 0.5, 1.0)
    strength: Floats = (clear + np.minimum(size / expected, 1.0)) / 2
    return strength


def _trend(tape: Tape, row: Ints, begin: Ints, direction: Ints, kind: Ints) -> Floats:
    """Fit of the trend before to the kind of pattern."""
    drift = tape.trend(row, begin - 1)
    aligned = np.clip(0.5 + direction * drift / 2, 0.0, 1.0)
    suits = [
        {
            Kind.REVERSAL: 1.0 - aligned,
            Kind.CONTINUATION: aligned,
            Kind.INDECISION: 0.5 + np.minimum(np.abs(drift), 1.0) / 2,
            Kind.EITHER: np.full(len(row), 0.5),
        }[each]
        for each in _KINDS
    ]
    trend: Floats = np.choose(kind, suits)
    return trend
