"""Oscillators where the market does not move: their middle, where TA-Lib returns a bound.

A share of nothing is 0/0. TA-Lib returns 0 for it, which reads as "sold off as far as can be" of
RSI, the stochastics, MFI and the Ultimate Oscillator, and as "bought up" of Williams' %R. Here it
is 50 (-50 of %R), which counts as much up as down. VWAP without volume and the Efficiency Ratio
without a move have no value.

Of prices at zero or below (spreads, power, oil in April 2020) a percentage says the opposite: from
-10 to -5 is -50 %. There ROC, ROCP, ROCR, ROCR100, PPO and NATR have no value.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import numpy as np

from shared.analysis.candle_series import Bools, Floats

Series = Mapping[str, Floats]
Columns = tuple[Floats, ...]

_MIDDLE: Final = 50.0


def with_neutral_values(
    function: str, parameters: Mapping[str, Any], series: Series, columns: Columns
) -> Columns:
    """Return TA-Lib's columns of a function, each [n], with the middle value where nothing moved.

    `parameters`: in the order of `parameters_of`, kinds of averages last.
    """
    mended = _MENDED.get(function)
    return columns if mended is None else mended(series, columns, *parameters.values())


def rsi(close: Floats, period: int) -> Floats:
    """Return RSI [n]: 50 where no close of the period moved."""
    import talib

    values = talib.RSI(close, period)
    flat = _still(np.diff(close, prepend=close[:1]) != 0, period)
    return np.where(flat & np.isfinite(values), _MIDDLE, values)


def _still(moved: Bools, period: int) -> Bools:
    """Return for each row whether none of the last `period` moved, including its own."""
    count = np.concatenate((np.zeros(period, np.int64), np.cumsum(moved)))
    still: Bools = count[period:] == count[:-period]
    return still


def _fast_k(high: Floats, low: Floats, close: Floats, period: int) -> Floats:
    import talib

    k, _ = talib.STOCHF(high, low, close, period, 1)
    return np.where(talib.MAX(high, period) == talib.MIN(low, period), _MIDDLE, k)


def _stochf(series: Series, _: Columns, k: int, d: int, average: Any) -> Columns:
    import talib

    fast = _fast_k(series["high"], series["low"], series["close"], k)
    return fast, talib.MA(fast, d, average)


def _stoch(
    series: Series, _: Columns, k: int, slow: int, d: int, average: Any, d_average: Any
) -> Columns:
    import talib

    fast = _fast_k(series["high"], series["low"], series["close"], k)
    slow_k = talib.MA(fast, slow, average)
    return slow_k, talib.MA(slow_k, d, d_average)


def _kdj(series: Series, columns: Columns, *parameters: Any) -> Columns:
    k, d = _stoch(series, columns, *parameters)
    return k, d, 3 * k - 2 * d


def _stochrsi(series: Series, _: Columns, period: int, k: int, d: int, average: Any) -> Columns:
    of = rsi(series["close"], period)
    return _stochf({"high": of, "low": of, "close": of}, (), k, d, average)


def _willr(series: Series, columns: Columns, period: int) -> Columns:
    import talib

    flat = talib.MAX(series["high"], period) == talib.MIN(series["low"], period)
    return (np.where(flat, -_MIDDLE, columns[0]),)


def _mfi(series: Series, columns: Columns, period: int) -> Columns:
    typical = (series["high"] + series["low"] + series["close"]) / 3.0
    flows = (np.diff(typical, prepend=typical[:1]) != 0) & (series["volume"] > 0)
    return (np.where(_still(flows, period), _MIDDLE, columns[0]),)


def _ultosc(series: Series, columns: Columns, *periods: int) -> Columns:
    import talib

    moved = np.nan_to_num(talib.TRANGE(series["high"], series["low"], series["close"])) > 0
    values = columns[0]
    for weight, period in zip((4, 2, 1), sorted(periods), strict=True):
        values = values + np.where(_still(moved, period), _MIDDLE * weight / 7, 0.0)
    return (values,)


def _vwap(series: Series, columns: Columns) -> Columns:
    return (np.where(np.cumsum(series["volume"]) > 0, columns[0], np.nan),)


def _er(series: Series, columns: Columns, period: int) -> Columns:
    close = series["close"]
    flat = _still(np.diff(close, prepend=close[:1]) != 0, period)
    return (np.where(flat, np.nan, columns[0]),)


def _of_past(series: Series, columns: Columns, period: int) -> Columns:
    past = np.roll(series["close"], period)
    return (np.where(past > 0, columns[0], np.nan),)


def _ppo(series: Series, columns: Columns, fast: int, slow: int, average: Any) -> Columns:
    import talib

    return (np.where(talib.MA(series["close"], max(fast, slow), average) > 0, columns[0], np.nan),)


def _natr(series: Series, columns: Columns, period: int) -> Columns:
    return (np.where(series["close"] > 0, columns[0], np.nan),)


_MENDED: Final[Mapping[str, Callable[..., Columns]]] = {
    "STOCH": _stoch,
    "STOCHF": _stochf,
    "STOCHRSI": _stochrsi,
    "KDJ": _kdj,
    "WILLR": _willr,
    "MFI": _mfi,
    "ULTOSC": _ultosc,
    "VWAP": _vwap,
    "ROC": _of_past,
    "ROCP": _of_past,
    "ROCR": _of_past,
    "ROCR100": _of_past,
    "PPO": _ppo,
    "NATR": _natr,
    "ER": _er,
}
