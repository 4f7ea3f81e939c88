"""Technical indicators over candles, by TA-Lib: `sma:20,rsi:14,macd`."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Final

import numpy as np

from shared.analysis.candle_series import Floats
from shared.analysis.neutral_values import rsi
from shared.analysis.talib_indicators import TalibIndicator

MAX_INDICATORS: Final = 16
MIN_PERIOD, MAX_PERIOD = 2, 200
DIGITS: Final = 10
"""Significant digits of a value: the start of a page affects only digits far beyond."""

_WARM_UP: Final = {"sma": 1, "bb": 1, "ema": 20, "rsi": 40, "atr": 40}
"""Periods before the first wanted candle. A mean needs one. EMA forgets by a factor of e^2 in a
period, Wilder's smoothing (RSI, ATR) by e: after so many, what came before is below 1e-17."""


@dataclass(frozen=True)
class Indicator:
    """One indicator: `kind` sma, ema, rsi, atr or bb (Bollinger bands), over `period` candles.

    `name` is as requested; `columns` are the names of its values.
    """

    name: str
    kind: str
    period: int
    deviations: float = 0.0
    of_day: ClassVar[bool] = False

    @classmethod
    def parse(cls, text: str) -> Indicator:
        """Parse `sma:20` or `bb:20:2`. Raises ValueError with the error and the fix."""
        kind, *numbers = text.strip().lower().split(":")
        expected = 2 if kind == "bb" else 1
        if len(numbers) != expected:
            needs = (
                "a period and deviations, as bb:20:2" if kind == "bb" else f"a period: {kind}:14"
            )
            raise ValueError(f"{text[:40]!r}: {kind} needs {needs}")
        if not (numbers[0].isascii() and numbers[0].isdigit() and len(numbers[0]) < 5):
            raise ValueError(f"{text[:40]!r}: the period is not a whole number")
        period = int(numbers[0])
        if not MIN_PERIOD <= period <= MAX_PERIOD:
            raise ValueError(f"{text[:40]!r}: the period is not from {MIN_PERIOD} to {MAX_PERIOD}")
        if kind != "bb":
            return cls(f"{kind}:{period}", kind, period)
        try:
            deviations = float(numbers[1])
        except ValueError:
            deviations = 0.0
        if not 0.1 <= deviations <= 10:
            raise ValueError(f"{text[:40]!r}: the deviations are not a number from 0.1 to 10")
        return cls(f"{kind}:{period}:{deviations:g}", kind, period, deviations)

    @property
    def columns(self) -> tuple[str, ...]:
        """`sma:20`; for Bollinger bands `bb:20:2:upper`, `:middle` and `:lower`."""
        if self.kind != "bb":
            return (self.name,)
        return tuple(f"{self.name}:{band}" for band in ("upper", "middle", "lower"))

    @property
    def warm_up(self) -> int:
        """Candles it needs before the first returned one."""
        return self.period * _WARM_UP[self.kind]

    def values(self, inputs: Mapping[str, Floats]) -> tuple[Floats, ...]:
        """Return its columns, each [n]; NaN where there are not enough candles.

        `inputs`: high, low and close.
        """
        high, low, close = inputs["high"], inputs["low"], inputs["close"]
        if not len(close):
            return tuple(np.empty(0) for _ in self.columns)
        period = self.period
        import talib  # imports Polars, 30 MiB: only when an indicator is requested

        # TA-Lib treats values below 1e-14 as zero, whatever the unit of the price: pass
        # distances from the first close, as fractions of the largest.
        zero = float(close[0])
        unit = float(max(np.abs(each - zero).max() for each in (high, low, close))) or 1.0
        high, low, close = ((each - zero) / unit for each in (high, low, close))
        if self.kind == "sma":
            return (zero + unit * talib.SMA(close, period),)
        if self.kind == "ema":
            return (zero + unit * talib.EMA(close, period),)
        if self.kind == "rsi":
            return (rsi(close, period),)
        if self.kind == "atr":
            return (unit * talib.ATR(high, low, close, period),)
        bands = talib.BBANDS(close, period, self.deviations, self.deviations)
        upper, middle, lower = (zero + unit * band for band in bands)
        return upper, middle, lower


AnyIndicator = Indicator | TalibIndicator


def parse_indicators(text: str) -> tuple[AnyIndicator, ...]:
    """Parse a list such as `sma:20,rsi:14,macd:12,26,9`: a number belongs to the name before it.

    Raises ValueError.
    """
    parsed = tuple(_parsed(each) for each in re.split(r",(?=\s*[A-Za-z])", text))
    if len(parsed) > MAX_INDICATORS:
        raise ValueError(f"{len(parsed)} indicators; at most {MAX_INDICATORS} at once")
    names = [each.name for each in parsed]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise ValueError(f"{twice} is asked for twice")
    return parsed


def _parsed(text: str) -> AnyIndicator:
    text = text.replace(",", ":")
    is_own = text.strip().lower().partition(":")[0] in _WARM_UP
    return Indicator.parse(text) if is_own else TalibIndicator.parse(text)


def warm_up(indicators: Sequence[AnyIndicator]) -> int:
    """Candles to read before the first returned one, so that values do not depend on it."""
    return max((each.warm_up for each in indicators), default=0)


def compute(
    indicators: Sequence[AnyIndicator], high: Floats, low: Floats, close: Floats, **series: Any
) -> Mapping[str, Floats]:
    """Return all columns by name, each [n], to 10 significant digits; NaN without a value.

    The prices are those of successive candles, ascending; an interval without a candle is skipped.
    `series`: `open`, `volume` and `start_us`, which TA-Lib's own functions need. The start of a
    page does not matter for candles with `warm_up` candles before them. Closer to the beginning of
    all history EMA, RSI and ATR start with a plain mean, as TA-Lib does.
    """
    inputs = {"high": high, "low": low, "close": close, **series}
    return {
        name: _rounded(values)
        for each in indicators
        for name, values in zip(each.columns, each.values(inputs), strict=True)
    }


def _rounded(values: Floats) -> Floats:
    nonzero = np.isfinite(values) & (values != 0)
    digits = np.floor(np.log10(np.abs(np.where(nonzero, values, 1.0)))).astype(np.int64)
    scale = 10.0 ** np.clip(DIGITS - 1 - digits, -300, 300)
    return np.where(nonzero, np.rint(values * scale) / scale, values)
