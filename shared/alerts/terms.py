"""Terms of conditions: numbers, fields, indicators and arithmetic over the candles of one series.

Fields and numbers are exact integers; what passes through an indicator or through arithmetic is a
double, of 10 digits.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final, cast

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from shared.analysis.indicators import AnyIndicator, Indicator, compute
from shared.analysis.talib_indicators import DAY_US, TalibIndicator
from shared.market.decimals import from_mantissa, to_mantissa, to_text

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]
Exact = tuple[NDArray[Any], int]
"""Mantissas, int64 or Python integers, and their scale."""

CANDLE_FIELDS: Final = ("open", "high", "low", "close", "volume")
QUOTE_FIELDS: Final = ("bid", "ask", "spread", "mid")
INT64: Final = 2**63


@dataclass(slots=True, eq=False)
class Inputs:
    """What conditions are evaluated on: n candles of one series, ascending, or one quote.

    `exact`: by field, mantissas of shape [n] with their scale. `patterns`: starts (us) of the
    candles that complete a pattern, by its name.
    """

    start_us: Ints
    exact: Mapping[str, Exact]
    patterns: Mapping[str, AbstractSet[int]] = field(default_factory=dict)
    _floats: dict[str, Floats] = field(default_factory=dict)
    _indicators: dict[str, Mapping[str, Floats]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.start_us)

    def floats(self, name: str) -> Floats:
        """Return a field as doubles, shape [n]."""
        if name not in self._floats:
            mantissas, scale = self.exact[name]
            self._floats[name] = mantissas.astype(np.float64) / 10.0**scale
        return self._floats[name]

    def indicator(self, indicator: AnyIndicator) -> Mapping[str, Floats]:
        """Return the columns of an indicator, computed once for all rules; NaN where unknown."""
        if indicator.name not in self._indicators:
            series = {name: self.floats(name) for name in CANDLE_FIELDS}
            found = compute([indicator], start_us=self.start_us, **series)
            self._indicators[indicator.name] = found
        return self._indicators[indicator.name]


class Term:
    """A number for each candle."""

    def floats(self, inputs: Inputs) -> Floats:
        """Return the values, shape [n]; NaN where there is none."""
        raise NotImplementedError

    def exact(self, inputs: Inputs) -> Exact | None:
        """Return the values as integers, where they are exact."""
        return None

    def need(self, length_us: int) -> int:
        """Return how many candles of that length it looks at before the one it is for."""
        return 0

    def value(self, inputs: Inputs, at: int) -> str:
        """Return one value as text, exact where it is."""
        exact = self.exact(inputs)
        if exact is None:
            return f"{float(self.floats(inputs)[at]):.10g}"
        return to_text(from_mantissa(int(exact[0][at]), exact[1]))


@dataclass(frozen=True, slots=True)
class Number(Term):
    """A constant."""

    number: Decimal

    def __str__(self) -> str:
        return to_text(self.number)

    def floats(self, inputs: Inputs) -> Floats:
        """Return it for each candle."""
        return np.full(len(inputs), float(self.number))

    def exact(self, inputs: Inputs) -> Exact | None:
        """Return its mantissa for each candle."""
        scale = max(0, -cast(int, self.number.as_tuple().exponent))
        mantissa = to_mantissa(self.number, scale)
        dtype = np.int64 if abs(mantissa) < INT64 else object
        return np.full(len(inputs), mantissa, dtype=dtype), scale


@dataclass(frozen=True, slots=True)
class Field(Term):
    """A field of the candle or of the quote."""

    name: str

    def __str__(self) -> str:
        return self.name

    def floats(self, inputs: Inputs) -> Floats:
        """Return the field."""
        return inputs.floats(self.name)

    def exact(self, inputs: Inputs) -> Exact | None:
        """Return its mantissas."""
        return inputs.exact[self.name]


@dataclass(frozen=True, slots=True)
class IndicatorValue(Term):
    """A column of an indicator: `rsi:14`, `bb:20:2:upper`."""

    indicator: AnyIndicator
    column: str

    def __str__(self) -> str:
        return self.column

    def floats(self, inputs: Inputs) -> Floats:
        """Return the column."""
        return inputs.indicator(self.indicator)[self.column]

    def need(self, length_us: int) -> int:
        """Return its warm-up; of one that begins anew each day, a day at least."""
        is_of_day = isinstance(self.indicator, TalibIndicator) and self.indicator.of_day
        return max(self.indicator.warm_up, DAY_US // length_us if is_of_day else 0)


@dataclass(frozen=True, slots=True)
class Rolling(Term):
    """A function of the newest `period` values: `sma(volume, 20)`."""

    function: str
    inner: Term
    period: int

    def __str__(self) -> str:
        return f"{self.function}({self.inner}, {self.period})"

    def floats(self, inputs: Inputs) -> Floats:
        """Return the values; NaN for the first `period` - 1."""
        values, found = self.inner.floats(inputs), np.full(len(inputs), np.nan)
        if self.function in _AVERAGES:
            known = np.flatnonzero(np.isfinite(values))
            first = int(known[0]) if len(known) else len(values)
            rest = values[first:]
            if len(rest) >= self.period and np.isfinite(rest).all():
                mean = Indicator.parse(f"{self.function}:{self.period}")
                (found[first:],) = mean.values(rest, rest, rest)
        elif len(values) >= self.period:
            windows = sliding_window_view(values, self.period)
            found[self.period - 1 :] = _WINDOWS[self.function](windows)
        return found

    def need(self, length_us: int) -> int:
        """Return its own warm-up and that of what it is over."""
        own = self.period
        if self.function in _AVERAGES:
            own = Indicator.parse(f"{self.function}:{self.period}").warm_up
        return own + self.inner.need(length_us)


_AVERAGES: Final = ("sma", "ema")
_WINDOWS: Final[Mapping[str, Callable[[Floats], Floats]]] = {
    "highest": lambda windows: np.max(windows, axis=1),
    "lowest": lambda windows: np.min(windows, axis=1),
    "stdev": lambda windows: np.std(windows, axis=1),
}
FUNCTIONS: Final = (*_AVERAGES, *_WINDOWS)


@dataclass(frozen=True, slots=True)
class Past(Term):
    """A value some candles ago: `close[1]`."""

    inner: Term
    back: int

    def __str__(self) -> str:
        return f"{self.inner}[{self.back}]"

    def floats(self, inputs: Inputs) -> Floats:
        """Return the values; NaN for the first `back`."""
        values, found = self.inner.floats(inputs), np.full(len(inputs), np.nan)
        found[self.back :] = values[: max(len(values) - self.back, 0)]
        return found

    def need(self, length_us: int) -> int:
        """Return what its inner term needs, and as many more."""
        return self.back + self.inner.need(length_us)


@dataclass(frozen=True, slots=True)
class Arithmetic(Term):
    """`left + right` and so on; NaN where it is divided by zero."""

    operator: str
    left: Term
    right: Term

    def __str__(self) -> str:
        return f"({self.left} {self.operator} {self.right})"

    def floats(self, inputs: Inputs) -> Floats:
        """Return the values."""
        left, right = self.left.floats(inputs), self.right.floats(inputs)
        with np.errstate(all="ignore"):
            found = _ARITHMETIC[self.operator](left, right)
        return np.where(np.isfinite(found), found, np.nan)

    def need(self, length_us: int) -> int:
        """Return what the side needs that needs more."""
        return max(self.left.need(length_us), self.right.need(length_us))


_ARITHMETIC: Final[Mapping[str, Callable[[Floats, Floats], Floats]]] = {
    "+": np.add,
    "-": np.subtract,
    "*": np.multiply,
    "/": np.divide,
}
