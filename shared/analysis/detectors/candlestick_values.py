"""Values of TA-Lib's 61 functions for each evaluated candle, independent of the batch.

TA-Lib decides a candle from those before it: shapes from up to 5, "long" and "short" against
averages of up to 10 more. `REACH` candles are all it can depend on, but for one thing: the averages
are running sums of floats, whose rounding remembers every candle since the call began. So a value
is defined here as the function's on the last `REACH` candles alone, and evaluated for many windows
in one call only where that is provably the same:

- Each run of candles is scaled by the power of two that brings its lowest price to [0.5, 1), which
  changes no comparison. If no range in it is above 1/16 (some 6 to 12 % of the price), every term
  of a sum is a multiple of 2^-53 and no sum reaches 1: nothing is rounded or remembered, and runs
  can follow each other, each with the candles before it that its first value depends on.
- In a more violent run windows stand alone; those that still are violent have prices rounded to 32
  significant bits (2e-10), which makes sums exact up to a range of 2^17. A window beyond that has
  no patterns.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from shared.analysis.candle_series import Floats, Ints, chosen
from shared.analysis.detectors.candlestick_table import CANDLESTICKS, Candlestick
from shared.analysis.detectors.tape import Tape
from shared.runtime.memory import FRAMES, without

with without(FRAMES):
    import talib
    from talib import abstract

REACH: Final = 18
"""The longest lookback of a function (14), a hikkake's confirmation (3), and the candle itself."""

RUN: Final = 256
"""Evaluated candles that share a run: a violent one is split into single windows."""

_SUMMED: Final = 16.0
_BITS: Final = 32
_TOO_WILD: Final = 2.0 ** (53 - _BITS) / _SUMMED


def candlestick_values(
    tape: Tape, functions: tuple[Candlestick, ...] = CANDLESTICKS
) -> npt.NDArray[np.int32]:
    """Return [functions, m]: TA-Lib's -200 to 200, 0 without a pattern."""
    values = np.zeros((len(functions), len(tape.at)), dtype=np.int32)
    first = _run_starts(tape)
    last = np.append(first[1:], len(tape.at)) - 1
    runs = _Runs.of(tape, first, last)
    calm = runs.spread * _SUMMED <= 1.0
    _evaluate(tape, functions, values, chosen(runs, calm))
    if calm.all():
        return values
    alone = np.flatnonzero(np.repeat(~calm, last - first + 1))
    runs = _Runs.of(tape, alone, alone)
    calm = runs.spread * _SUMMED <= 1.0
    _evaluate(tape, functions, values, chosen(runs, calm))
    _evaluate(tape, functions, values, chosen(runs, ~calm & (runs.spread < _TOO_WILD)), bits=_BITS)
    return values


@dataclass(frozen=True)
class _Runs:
    """Neighbours on the tape: rows `first` to `last` of `at`, evaluated from `begin` on.

    `scale` is the power of two for its prices, `spread` the largest range, scaled. All [k].
    """

    first: Ints
    last: Ints
    begin: Ints
    scale: Floats
    spread: Floats

    @classmethod
    def of(cls, tape: Tape, first: Ints, last: Ints) -> _Runs:
        begin = np.maximum(tape.window[first], tape.at[first] - REACH + 1)
        position, starts = _joined(begin, tape.at[last])
        widest = np.maximum.reduceat((tape.high - tape.low)[position], starts)
        _, exponent = np.frexp(np.minimum.reduceat(tape.low[position], starts))
        scale = np.ldexp(1.0, -exponent)
        return cls(first, last, begin, scale, widest * scale)


def _run_starts(tape: Tape) -> Ints:
    """Return the rows of `at` at which runs start: neighbours on the tape, at most RUN of them."""
    breaks = np.empty(len(tape.at), dtype=np.bool_)
    breaks[0] = True
    breaks[1:] = (tape.at[1:] != tape.at[:-1] + 1) | (tape.segment[1:] != tape.segment[:-1])
    rows = np.arange(len(tape.at))
    since = rows - np.maximum.accumulate(np.where(breaks, rows, 0))
    return np.flatnonzero(since % RUN == 0)


def _joined(begin: Ints, end: Ints) -> tuple[Ints, Ints]:
    """Return the concatenated ranges from each begin to its end, and the offset of each."""
    lengths = end - begin + 1
    starts = np.cumsum(lengths) - lengths
    return np.arange(lengths.sum()) + np.repeat(begin - starts, lengths), starts


def _evaluate(
    tape: Tape,
    functions: tuple[Candlestick, ...],
    values: npt.NDArray[np.int32],
    runs: _Runs,
    bits: int | None = None,
) -> None:
    """Write the values of runs with exact sums, with prices rounded to so many bits."""
    if not len(runs.first):
        return
    end = tape.at[runs.last]
    position, starts = _joined(runs.begin, end)
    scale = np.repeat(runs.scale, end - runs.begin + 1)
    prices = [each[position] * scale for each in (tape.open, tape.high, tape.low, tape.close)]
    if bits is not None:
        prices = [_rounded(each, bits) for each in prices]
    rows, _ = _joined(runs.first, runs.last)
    index = tape.at[rows] + np.repeat(starts - runs.begin, runs.last - runs.first + 1)
    room = tape.at[rows] - tape.window[rows]
    for number, each in enumerate(functions):
        result = getattr(talib, each.function)(*prices)[index]
        values[number, rows] = np.where(room >= _LOOK_BACK[each.function], result, 0)


def _rounded(price: Floats, bits: int) -> Floats:
    mantissa, exponent = np.frexp(price)
    rounded: Floats = np.ldexp(np.rint(np.ldexp(mantissa, bits)), exponent - bits)
    return rounded


_LOOK_BACK: Final = {
    each.function: int(getattr(abstract, each.function).lookback) for each in CANDLESTICKS
}
"""Lookback of each function."""
