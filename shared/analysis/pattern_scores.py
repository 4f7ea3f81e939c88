"""Scores of patterns against any candle: hits, returns, calibration."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np

from shared.analysis.candle_series import Bools, Floats, Ints
from shared.analysis.finding import Finding

BUCKETS: Final = (0.0, 0.5, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 1.0)
"""Bounds of the confidence buckets; the last includes both."""

FEWEST_TRIALS: Final = 10

Z: Final = 1.96
"""For intervals of 95 %."""


@dataclass(frozen=True)
class Score:
    """Score of one pattern in one direction; returns are fractions, in its direction.

    `fired` counts all, `evaluated` those with `horizon` candles after them and a direction, `apart`
    those of them whose horizons do not overlap: the number of independent trials for the intervals
    (95 %). The base is the result of every candle of the same history in that direction. If nothing
    was evaluated, rates and means are NaN.
    """

    name: str
    direction: int
    fired: int
    evaluated: int
    apart: int
    confidence: float
    hit_rate: float
    hit_low: float
    hit_high: float
    base_hit_rate: float
    mean_return: float
    mean_error: float
    base_return: float

    @property
    def verdict(self) -> str:
        """`better` or `worse` than the base by hit rate or mean; `-` if it may be chance.

        `few` with under 10 trials: their spread is not meaningful yet.
        """
        if self.apart < FEWEST_TRIALS:
            return "few"
        excess = self.mean_return - self.base_return
        if self.hit_low > self.base_hit_rate or excess > self.mean_error:
            return "better"
        if self.hit_high < self.base_hit_rate or -excess > self.mean_error:
            return "worse"
        return "-"


class Returns:
    """Returns over `horizon` candles from each candle's close, and their base.

    `close`: float64[n], of successive candles, ascending.
    """

    def __init__(self, close: Floats, horizon: int) -> None:
        if horizon < 1:
            raise ValueError("the horizon is at least one candle")
        self.horizon = horizon
        self.forward: Floats = close[horizon:] / close[:-horizon] - 1.0
        """[n - horizon] from each candle that has a horizon."""

    def base(self, direction: int) -> tuple[float, float]:
        """Return hit rate and mean return of all candles in a direction."""
        if not len(self.forward):
            return float("nan"), float("nan")
        signed = direction * self.forward
        return float((signed > 0).mean()), float(signed.mean())

    def score(self, name: str, direction: int, patterns: Sequence[Finding]) -> Score:
        """Score findings, each against the base of its direction; none without a direction.

        `direction`: that of all of them; 0: of several, or none.
        """
        evaluated = [f for f in patterns if f.direction and f.index < len(self.forward)]
        index = np.array([f.index for f in evaluated], dtype=np.int64)
        sign = np.array([f.direction for f in evaluated], dtype=np.int64)
        signed, n, apart = sign * self.forward[index], len(index), self._apart(np.unique(index))
        hit_rate, up = _mean(signed > 0), _mean(sign > 0)
        base_hit_rate, base_return = (
            up * rising + (1 - up) * falling
            for rising, falling in zip(self.base(1), self.base(-1), strict=True)
        )
        error = Z * float(signed.std(ddof=1)) / apart**0.5 if n > 1 else float("inf")
        confidence = _mean([f.confidence for f in patterns])
        return Score(
            *(name, direction, len(patterns), n, apart, confidence),
            *(hit_rate, *wilson(hit_rate, apart), base_hit_rate),
            *(_mean(signed), error, base_return),
        )

    def _apart(self, index: Ints) -> int:
        """Count ascending positions that are at least a horizon apart, greedily from the first."""
        count, free_from = 0, -1
        for each in index.tolist():
            if each >= free_from:
                count, free_from = count + 1, each + self.horizon
        return count


def by_pattern(returns: Returns, patterns: Iterable[Finding]) -> list[Score]:
    """Return a score for each pattern and direction, the most frequent first."""
    groups: dict[tuple[str, int], list[Finding]] = {}
    for each in patterns:
        groups.setdefault((each.pattern, each.direction), []).append(each)
    scores = [returns.score(name, sign, group) for (name, sign), group in groups.items()]
    return sorted(scores, key=lambda score: (-score.fired, score.name, score.direction))


def by_confidence(returns: Returns, patterns: Sequence[Finding]) -> list[Score]:
    """Return a score for each confidence bucket with findings, over all patterns."""
    scores = []
    for low, high in pairwise(BUCKETS):
        last = high == BUCKETS[-1]
        group = [f for f in patterns if low <= f.confidence and (f.confidence < high or last)]
        if group:
            scores.append(returns.score(f"{low:.2f} - {high:.2f}", 0, group))
    return scores


def wilson(rate: float, n: int) -> tuple[float, float]:
    """Return the 95 % interval of a rate seen in n trials (Wilson, JASA 22, 1927); n=0: 0 to 1."""
    if not n:
        return 0.0, 1.0
    middle = (rate + Z * Z / (2 * n)) / (1 + Z * Z / n)
    half = Z / (1 + Z * Z / n) * (rate * (1 - rate) / n + Z * Z / (4 * n * n)) ** 0.5
    return max(middle - half, 0.0), min(middle + half, 1.0)


def _mean(values: Sequence[float] | Floats | Bools) -> float:
    return float(np.mean(values)) if len(values) else float("nan")
