"""What the 61 functions of TA-Lib say about each judged candle, the same however many at once.

TA-Lib decides a candle from those before it: shapes from up to 5, "long" and "short" against
averages of up to 10 more. `REACH` candles are all it can depend on, but for one thing: the averages
are running sums of floats, whose rounding remembers every candle since the call began. So a value
is defined here as the function's on the last `REACH` candles alone, and evaluated for many windows
in one call only where that is provably the same:

- Candles between which 16 times the largest range stays under twice the power of two below the
  lowest price (ranges under some 6 % of the price) have exact sums: every term is a multiple of the
  lowest price's last bit, and no sum needs more than 53 of them. Nothing is rounded, so nothing is
  remembered, and neighbours share one run.
- Other windows stand alone, with prices rounded to 32 significant bits (2e-10), which makes sums
  exact up to a range of 2^17 times the price; a window beyond that has no patterns.

Runs are separated by candles of price zero, in which no function finds anything and all sums return
to zero.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt
import talib
from talib import abstract

from functions.detect_pattern.candles import Floats, Ints
from functions.detect_pattern.detectors.candlestick_table import CANDLESTICKS, Candlestick
from functions.detect_pattern.detectors.tape import Tape

REACH: Final = 18
"""The longest look back of a function (14), the candles a hikkake waits for (3), and itself."""

RUN: Final = 256
"""Judged candles that share a run: a violent one makes windows of one run stand alone."""

_SEPARATOR: Final = 15
_SUMMED: Final = 16.0
_BITS: Final = 32
_TOO_WILD: Final = 2.0 ** (53 - _BITS) / _SUMMED

Bools = npt.NDArray[np.bool_]


def candlestick_values(
    tape: Tape, functions: tuple[Candlestick, ...] = CANDLESTICKS
) -> npt.NDArray[np.int32]:
    """Return [functions, m]: -200 to 200 as TA-Lib gives it, 0 where there is no pattern."""
    m = len(tape.at)
    values = np.zeros((len(functions), m), dtype=np.int32)
    reach = np.maximum(tape.window, tape.at - REACH + 1)
    first = _run_starts(tape)
    last = np.append(first[1:], m) - 1
    calm = _spread(tape, reach[first], tape.at[last]) * _SUMMED <= 1.0
    _evaluate(tape, functions, values, reach[first[calm]], first[calm], last[calm], rounded=False)
    if calm.all():
        return values
    alone = np.flatnonzero(np.repeat(~calm, last - first + 1))
    spread = _spread(tape, reach[alone], tape.at[alone])
    for rows, rounded in (
        (alone[spread * _SUMMED <= 1.0], False),
        (alone[(spread * _SUMMED > 1.0) & (spread < _TOO_WILD)], True),
    ):
        _evaluate(tape, functions, values, reach[rows], rows, rows, rounded=rounded)
    return values


def _run_starts(tape: Tape) -> Ints:
    """Return the rows of `at` where runs begin: of neighbours on the tape, at most RUN of them."""
    if not len(tape.at):
        return np.empty(0, dtype=np.int64)
    breaks = np.empty(len(tape.at), dtype=np.bool_)
    breaks[0] = True
    breaks[1:] = (tape.at[1:] != tape.at[:-1] + 1) | (tape.segment[1:] != tape.segment[:-1])
    rows = np.arange(len(tape.at))
    since = rows - np.maximum.accumulate(np.where(breaks, rows, 0))
    return np.flatnonzero(since % RUN == 0)


def _spread(tape: Tape, begin: Ints, end: Ints) -> Floats:
    """Return per run the largest range over twice the power of two below the lowest price."""
    place, starts = _places(begin, end, 0, 0)
    widest = np.maximum.reduceat((tape.high - tape.low)[place], starts) if len(starts) else starts
    lowest = np.minimum.reduceat(tape.low[place], starts) if len(starts) else starts + 1.0
    _, exponent = np.frexp(lowest)
    spread: Floats = widest / np.ldexp(1.0, exponent)
    return spread


def _places(begin: Ints, end: Ints, gap: int, blank: int) -> tuple[Ints, Ints]:
    """Return the places of all runs in turn, each followed by a gap of `blank`s, and run starts."""
    lengths = end - begin + 1 + gap
    starts = np.cumsum(lengths) - lengths
    place = np.arange(lengths.sum()) + np.repeat(begin - starts, lengths)
    if gap:
        place[place > np.repeat(end, lengths)] = blank
    return place, starts


def _evaluate(
    tape: Tape,
    functions: tuple[Candlestick, ...],
    values: npt.NDArray[np.int32],
    begin: Ints,
    first: Ints,
    last: Ints,
    *,
    rounded: bool,
) -> None:
    """Write the values of the runs: rows first..last of `at`, decided from `begin` on."""
    if not len(first):
        return
    place, starts = _places(begin, tape.at[last], _SEPARATOR, len(tape.close))
    prices = [
        np.append(_rounded(each) if rounded else each, 0.0)[place]
        for each in (tape.open, tape.high, tape.low, tape.close)
    ]
    rows, _ = _places(first, last, 0, 0)
    run = np.repeat(np.arange(len(first)), last - first + 1)
    where = starts[run] + tape.at[rows] - begin[run]
    room = tape.at[rows] - tape.window[rows]
    for number, each in enumerate(functions):
        found = getattr(talib, each.function)(*prices)[where]
        values[number, rows] = np.where(room >= _LOOK_BACK[each.function], found, 0)


def _rounded(price: Floats) -> Floats:
    mantissa, exponent = np.frexp(price)
    rounded: Floats = np.ldexp(np.rint(np.ldexp(mantissa, _BITS)), exponent - _BITS)
    return rounded


_LOOK_BACK: Final = {
    each.function: int(getattr(abstract, each.function).lookback) for each in CANDLESTICKS
}
"""Candles that a function needs before the completing one."""
