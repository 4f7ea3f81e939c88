"""Terms of conditions: numbers, fields, indicators and arithmetic over a series' candles.

Fields and numbers are exact integers; results of indicators and arithmetic are doubles with 10
digits. A term may have a longer timeframe than its rule: it is evaluated on its own candles, and
each candle of the rule sees the newest one that had ended by its own end.
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

from shared.analysis.candle_series import Bools, Floats, Ints
from shared.analysis.indicators import AnyIndicator, Indicator, compute
from shared.analysis.talib_indicators import DAY_US
from shared.market.decimals import from_mantissa, to_mantissa, to_text
from shared.market.timeframes import Timeframe

Exact = tuple[NDArray[Any], int]
"""Mantissas, int64 or Python integers, and their scale."""

PRICES: Final = ("open", "high", "low", "close", "volume")
"""What indicators are computed from."""
FLOW_FIELDS: Final = ("buy_volume", "sell_volume", "delta", "trades", "notional", "vwap")
CANDLE_FIELDS: Final = (*PRICES, *FLOW_FIELDS)
DOUBLES: Final = ("notional", "vwap")
"""Inexact fields: a sum of any width, and a quotient."""
QUOTE_FIELDS: Final = ("bid", "ask", "spread", "mid")
INT64: Final = 2**63


@dataclass(slots=True, eq=False)
class Longer:
    """The candles of a longer timeframe as seen by those of a shorter one.

    `at`: shape [n], for each shorter candle the index of the newest longer one that had ended by
    its end. `known`: whether there is one, and none that ended later is still missing.
    """

    inputs: Inputs
    at: Ints
    known: Bools

    @classmethod
    def seen(cls, inputs: Inputs, start_us: Ints, length_us: int, frame: Timeframe) -> Longer:
        """Return the view of the inputs from candles of `length_us` with these starts."""
        ends_us = start_us + length_us
        newest_us = frame.starts_us(ends_us) - frame.length_us
        at = np.searchsorted(inputs.start_us, newest_us, side="right") - 1
        is_known = at >= 0
        if len(inputs):
            # A missing one is still to come if a candle of its interval exists.
            first, last = np.searchsorted(start_us, [newest_us, newest_us + frame.length_us])
            is_known &= (inputs.start_us[at] == newest_us) | (first == last)
        return cls(inputs, at, is_known)

    def spread(self, values: NDArray[Any]) -> NDArray[Any]:
        """Return, for each shorter candle, the value of the longer one it sees."""
        if not len(values):
            return np.zeros(len(self.at), dtype=values.dtype)
        return values[np.maximum(self.at, 0)]


@dataclass(slots=True, eq=False)
class Inputs:
    """Inputs of conditions: n candles of one series, ascending, or one quote.

    `exact`: by field, mantissas of shape [n] with their scale; `doubles`: the fields that are not
    exact. `patterns`: starts (us) of the candles that complete a pattern, by its name. `longer`:
    by timeframe.
    """

    start_us: Ints
    exact: Mapping[str, Exact]
    patterns: Mapping[str, AbstractSet[int]] = field(default_factory=dict)
    doubles: Mapping[str, Floats] = field(default_factory=dict)
    longer: Mapping[str, Longer] = field(default_factory=dict)
    _floats: dict[str, Floats] = field(default_factory=dict)
    _indicators: dict[str, Mapping[str, Floats]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.start_us)

    def floats(self, name: str) -> Floats:
        """Return a field as doubles, shape [n]."""
        if name in self.doubles:
            return self.doubles[name]
        if name not in self._floats:
            mantissas, scale = self.exact[name]
            self._floats[name] = mantissas.astype(np.float64) / 10.0**scale
        return self._floats[name]

    def indicator(self, indicator: AnyIndicator) -> Mapping[str, Floats]:
        """Return the columns of an indicator, computed once for all rules; NaN where unknown."""
        if indicator.name not in self._indicators:
            series = {name: self.floats(name) for name in PRICES}
            columns = compute([indicator], start_us=self.start_us, **series)
            self._indicators[indicator.name] = columns
        return self._indicators[indicator.name]

    def known(self, frames: AbstractSet[str]) -> Bools:
        """Return the candles for which the longer timeframes are known, shape [n]."""
        mask = np.ones(len(self), dtype=np.bool_)
        for frame in frames:
            if frame in self.longer:
                mask &= self.longer[frame].known
        return mask


class Node:
    """A node of a rule: what it uses is what its children use."""

    @property
    def children(self) -> tuple[Node, ...]:
        """The nodes that it is made of."""
        return ()

    @property
    def frames(self) -> frozenset[str]:
        """Timeframes of its leaves; "" is the rule's own. A number has none."""
        return frozenset[str]().union(*(each.frames for each in self.children))

    def need(self, frame: str, length_us: int) -> int:
        """Return the number of earlier candles of a timeframe that it needs."""
        return max((each.need(frame, length_us) for each in self.children), default=0)


class Pair(Node):
    """Two sides."""

    left: Any
    right: Any

    @property
    def children(self) -> tuple[Node, ...]:
        """Both sides."""
        return self.left, self.right


class Term(Node):
    """A number for each candle."""

    def floats(self, inputs: Inputs) -> Floats:
        """Return the values, shape [n]; NaN where there is none."""
        longer = self._longer(inputs)
        if longer is None:
            return self._floats(inputs)
        return cast(Floats, longer.spread(self._floats(longer.inputs)))

    def exact(self, inputs: Inputs) -> Exact | None:
        """Return the values as integers, if exact."""
        longer = self._longer(inputs)
        if longer is None:
            return self._exact(inputs)
        exact = self._exact(longer.inputs)
        return None if exact is None else (longer.spread(exact[0]), exact[1])

    def _floats(self, inputs: Inputs) -> Floats:
        raise NotImplementedError

    def _exact(self, inputs: Inputs) -> Exact | None:
        return None

    def _longer(self, inputs: Inputs) -> Longer | None:
        """Return the longer candles the whole term uses; None: the inputs' own."""
        frames = self.frames
        return inputs.longer.get(next(iter(frames))) if len(frames) == 1 else None

    def value(self, inputs: Inputs, at: int) -> str:
        """Return one value as text, exact if possible."""
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

    def _floats(self, inputs: Inputs) -> Floats:
        return np.full(len(inputs), float(self.number))

    def _exact(self, inputs: Inputs) -> Exact | None:
        scale = max(0, -cast(int, self.number.as_tuple().exponent))
        mantissa = to_mantissa(self.number, scale)
        dtype = np.int64 if abs(mantissa) < INT64 else object
        return np.full(len(inputs), mantissa, dtype=dtype), scale


class Leaf(Term):
    """A column of the candles of one timeframe."""

    name: str
    frame: str

    def __str__(self) -> str:
        return f"{self.name}({self.frame})" if self.frame else self.name

    @property
    def frames(self) -> frozenset[str]:
        """Its own."""
        return frozenset((self.frame,))


@dataclass(frozen=True, slots=True)
class Field(Leaf):
    """A field of the candle or of the quote."""

    name: str
    frame: str = ""

    def _floats(self, inputs: Inputs) -> Floats:
        return inputs.floats(self.name)

    def _exact(self, inputs: Inputs) -> Exact | None:
        return None if self.name in DOUBLES else inputs.exact[self.name]


@dataclass(frozen=True, slots=True)
class IndicatorValue(Leaf):
    """A column of an indicator: `rsi:14`, `bb:20:2:upper`."""

    indicator: AnyIndicator
    name: str
    frame: str = ""

    def _floats(self, inputs: Inputs) -> Floats:
        return inputs.indicator(self.indicator)[self.name]

    def need(self, frame: str, length_us: int) -> int:
        """Return its warm-up; at least a day if it restarts each day."""
        if frame != self.frame:
            return 0
        return max(self.indicator.warm_up, DAY_US // length_us if self.indicator.of_day else 0)


@dataclass(frozen=True, slots=True)
class Rolling(Term):
    """A function of the newest `period` values: `sma(volume, 20)`."""

    function: str
    inner: Term
    period: int

    def __str__(self) -> str:
        return f"{self.function}({self.inner}, {self.period})"

    @property
    def children(self) -> tuple[Node, ...]:
        """Its argument."""
        return (self.inner,)

    def _floats(self, inputs: Inputs) -> Floats:
        values, result = self.inner.floats(inputs), np.full(len(inputs), np.nan)
        if self.function in _AVERAGES:
            finite = np.flatnonzero(np.isfinite(values))
            first = int(finite[0]) if len(finite) else len(values)
            rest = values[first:]
            if len(rest) >= self.period and np.isfinite(rest).all():
                mean = Indicator.parse(f"{self.function}:{self.period}")
                (result[first:],) = mean.values(dict.fromkeys(("high", "low", "close"), rest))
        elif len(values) >= self.period:
            windows = sliding_window_view(values, self.period)
            result[self.period - 1 :] = _WINDOWS[self.function](windows)
        return result

    def need(self, frame: str, length_us: int) -> int:
        """Return its warm-up plus its argument's."""
        warm_up = 0
        if frame in _evaluated_on(self.inner):
            warm_up = self.period
            if self.function in _AVERAGES:
                warm_up = Indicator.parse(f"{self.function}:{self.period}").warm_up
        return warm_up + self.inner.need(frame, length_us)


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

    @property
    def children(self) -> tuple[Node, ...]:
        """Its inner term."""
        return (self.inner,)

    def _floats(self, inputs: Inputs) -> Floats:
        values, result = self.inner.floats(inputs), np.full(len(inputs), np.nan)
        result[self.back :] = values[: max(len(values) - self.back, 0)]
        return result

    def _exact(self, inputs: Inputs) -> Exact | None:
        """Return them; the first `back` are NaN as floats."""
        exact = self.inner.exact(inputs)
        return None if exact is None else (np.roll(exact[0], self.back), exact[1])

    def need(self, frame: str, length_us: int) -> int:
        """Return the inner term's need plus the shift."""
        shift = self.back if frame in _evaluated_on(self.inner) else 0
        return shift + self.inner.need(frame, length_us)


@dataclass(frozen=True, slots=True)
class Arithmetic(Pair, Term):
    """`left + right` and so on; NaN where it is divided by zero."""

    operator: str
    left: Term
    right: Term

    def __str__(self) -> str:
        return f"({self.left} {self.operator} {self.right})"

    def _floats(self, inputs: Inputs) -> Floats:
        left, right = self.left.floats(inputs), self.right.floats(inputs)
        with np.errstate(all="ignore"):
            result = _ARITHMETIC[self.operator](left, right)
        return np.where(np.isfinite(result), result, np.nan)


def _evaluated_on(term: Term) -> frozenset[str]:
    """Return the timeframe a term is evaluated on: its own, or the rule's."""
    return term.frames if len(term.frames) == 1 else frozenset(("",))


_ARITHMETIC: Final[Mapping[str, Callable[[Floats, Floats], Floats]]] = {
    "+": np.add,
    "-": np.subtract,
    "*": np.multiply,
    "/": np.divide,
}
