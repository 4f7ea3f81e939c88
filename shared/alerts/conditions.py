"""Conditions of alert rules, evaluated over the candles of a series as arrays."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

from shared.alerts.terms import INT64, Arithmetic, Exact, Inputs, Node, Pair, Term
from shared.analysis.candle_series import Bools


class Evaluated(NamedTuple):
    """Result by candle, shape [n]: whether the condition holds, and whether it did not before.

    `rested`: it is known to be false on the previous candle. Crossings and patterns concern a
    single candle, so they have always rested.
    """

    holds: Bools
    rested: Bools


class Condition(Node):
    """A condition on candles."""

    def evaluate(self, inputs: Inputs) -> Evaluated:
        """Return the candles on which it holds."""
        raise NotImplementedError

    def value(self, inputs: Inputs, at: int) -> str | None:
        """Return the left value of its first comparison, as text."""
        return None


class _OfTwoTerms(Pair, Condition):
    """Two compared terms."""

    left: Term
    right: Term

    def need(self, frame: str, length_us: int) -> int:
        """Return what the sides need, for the candle before as well."""
        return 1 + super().need(frame, length_us)

    def value(self, inputs: Inputs, at: int) -> str | None:
        """Return the left side's value."""
        return self.left.value(inputs, at)


@dataclass(frozen=True, slots=True)
class Comparison(_OfTwoTerms):
    """`left > right`: a level."""

    left: Term
    operator: str
    right: Term

    def __str__(self) -> str:
        return f"{_bare(self.left)} {self.operator} {_bare(self.right)}"

    def evaluate(self, inputs: Inputs) -> Evaluated:
        """Return the candles on which it holds; false where a side is unknown."""
        sign, is_known = _signs(self.left, self.right, inputs)
        holds = is_known & _HOLDS[self.operator](sign)
        rested = np.zeros(len(inputs), dtype=np.bool_)
        rested[1:] = (is_known & ~holds)[:-1]
        return Evaluated(holds, rested)


_HOLDS: Final[Mapping[str, Callable[[NDArray[np.int8]], Bools]]] = {
    ">": lambda sign: sign > 0,
    ">=": lambda sign: sign >= 0,
    "<": lambda sign: sign < 0,
    "<=": lambda sign: sign <= 0,
}


@dataclass(frozen=True, slots=True)
class Crossing(_OfTwoTerms):
    """`left crosses above right`: not above on the candle before, and above now.

    `direction` is above, below, or empty for either.
    """

    left: Term
    direction: str
    right: Term

    def __str__(self) -> str:
        phrase = f"crosses {self.direction}".rstrip()
        return f"{_bare(self.left)} {phrase} {_bare(self.right)}"

    def evaluate(self, inputs: Inputs) -> Evaluated:
        """Return the candles on which it crosses."""
        sign, is_known = _signs(self.left, self.right, inputs)
        crossed = np.zeros(len(inputs), dtype=np.bool_)
        before, now = sign[:-1], sign[1:]
        if self.direction != "below":
            crossed[1:] |= (before <= 0) & (now > 0)
        if self.direction != "above":
            crossed[1:] |= (before >= 0) & (now < 0)
        crossed[1:] &= is_known[:-1] & is_known[1:]
        return Evaluated(crossed, np.ones(len(inputs), dtype=np.bool_))


@dataclass(frozen=True, slots=True)
class PatternFound(Condition):
    """`pattern double_top`; the `cdl_` of a candlestick may be omitted."""

    pattern: str

    def __str__(self) -> str:
        return f"pattern {self.pattern}"

    @property
    def frames(self) -> frozenset[str]:
        """The rule's own."""
        return frozenset(("",))

    @property
    def names(self) -> tuple[str, str]:
        """Names of the patterns that it matches."""
        return self.pattern, f"cdl_{self.pattern}"

    def evaluate(self, inputs: Inputs) -> Evaluated:
        """Return which candles complete the pattern."""
        starts: set[int] = set()
        for name in self.names:
            starts |= inputs.patterns.get(name, frozenset())
        holds = np.isin(inputs.start_us, np.array(sorted(starts), dtype=np.int64))
        return Evaluated(holds, np.ones(len(inputs), dtype=np.bool_))


@dataclass(frozen=True, slots=True)
class Combined(Pair, Condition):
    """`a and b`, `a or b`."""

    word: str
    left: Condition
    right: Condition

    def __str__(self) -> str:
        return f"({self.left} {self.word} {self.right})"

    def evaluate(self, inputs: Inputs) -> Evaluated:
        """Return the candles on which both, or either, hold."""
        left, right = self.left.evaluate(inputs), self.right.evaluate(inputs)
        if self.word == "and":
            return Evaluated(left.holds & right.holds, left.rested | right.rested)
        return Evaluated(left.holds | right.holds, left.rested & right.rested)

    def value(self, inputs: Inputs, at: int) -> str | None:
        """Return the value of its first comparison; for `or`, of the first that holds."""
        if self.word == "or" and not self.left.evaluate(inputs).holds[at]:
            return self.right.value(inputs, at)
        first = self.left.value(inputs, at)
        return self.right.value(inputs, at) if first is None else first


def _bare(term: Term) -> str:
    """Format a side of a comparison, without its outer parentheses."""
    text = str(term)
    return text[1:-1] if isinstance(term, Arithmetic) else text


def _signs(left: Term, right: Term, inputs: Inputs) -> tuple[NDArray[np.int8], Bools]:
    """Return the sign of left - right, and where both are known; exact if both are."""
    x, y = left.floats(inputs), right.floats(inputs)
    is_known = inputs.known(left.frames | right.frames) & np.isfinite(x) & np.isfinite(y)
    left_exact, right_exact = left.exact(inputs), right.exact(inputs)
    if left_exact is not None and right_exact is not None:
        scale = max(left_exact[1], right_exact[1])
        a, b = _at_scale(left_exact, scale), _at_scale(right_exact, scale)
        return (a > b).astype(np.int8) - (a < b), is_known
    return (x > y).astype(np.int8) - (x < y), is_known


def _at_scale(exact: Exact, scale: int) -> NDArray[Any]:
    mantissas, exact_scale = exact
    power = 10 ** (scale - exact_scale)
    largest = max(-int(mantissas.min(initial=0)), int(mantissas.max(initial=0)))
    if max(largest, 1) * power >= INT64:
        mantissas = mantissas.astype(object)
    return cast(NDArray[Any], mantissas * power)
