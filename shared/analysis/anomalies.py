"""Anomalies: candles whose price, volume or range is far from what it was before them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np

from shared.analysis.candle_series import Candles, Floats
from shared.analysis.detectors.settings import FEWEST_CANDLES
from shared.analysis.detectors.tape import Tape
from shared.analysis.finding import Finding, Findings
from shared.runtime.settings import Environment

PRICE, VOLUME, VOLATILITY = "price_move", "volume", "volatility"
"""The kinds."""

PERIOD: Final = 20
"""Candles that define the baseline; fewer if there are fewer, at least 9."""
_CONFIDENCE: Final = (0.7, 0.9)
"""Confidence by severity; anomalies have their own limits, not a minimum of it."""


@dataclass(frozen=True)
class AnomalyLimits:
    """Thresholds of anomalies.

    `move` and `strong_move` are fractions of the moving average, `z` standard deviations.
    """

    move: float = 0.02
    strong_move: float = 0.05
    z: float = 3.0

    def changed(self, text: str) -> AnomalyLimits:
        """Return these limits changed by `move=0.03 z=4`. Raises ValueError."""
        limits = self
        for each in text.split():
            name, _, number = each.partition("=")
            if name not in ("move", "strong_move", "z"):
                raise ValueError(f"{each!r} is not move=, strong_move= or z= and a number")
            limits = replace(limits, **{name: _positive(number)})
        if limits.move > limits.strong_move:
            raise ValueError(f"{text!r}: move is above strong_move")
        return limits


@dataclass(frozen=True)
class AnomalySettings:
    """The default limits, and those of individual symbols."""

    limits: AnomalyLimits = AnomalyLimits()
    symbols: Mapping[str, AnomalyLimits] = field(default_factory=dict)

    @classmethod
    def read(cls, env: Environment) -> AnomalySettings:
        """Read ANOMALY_LIMITS (`move=0.02 strong_move=0.05 z=3`) and ANOMALY_SYMBOLS.

        The latter is a list such as `BTC-USD z=4; DOGE-USD move=0.1 strong_move=0.2`.
        """
        limits = env.parsed(
            "ANOMALY_LIMITS", "move=0.02 strong_move=0.05 z=3", AnomalyLimits().changed
        )
        return cls(limits, env.parsed("ANOMALY_SYMBOLS", "", lambda text: _symbols(text, limits)))

    def of(self, symbol: str) -> AnomalyLimits:
        """Return the limits of a symbol."""
        return self.symbols.get(symbol, self.limits)


def pattern_of(kind: str, severity: int) -> str:
    """Return the name of an anomaly's pattern."""
    return f"anomaly_{'strong_' if severity > 1 else ''}{kind}"


PATTERNS: Final = tuple(
    pattern_of(kind, severity) for kind in (PRICE, VOLUME, VOLATILITY) for severity in (1, 2)
)


def anomalies(
    series: Sequence[tuple[Candles, int]], limits: Sequence[AnomalyLimits]
) -> list[list[Finding]]:
    """Return the anomalies of each series' candles[first:]; `limits` are those of each series.

    A candle is compared with up to 20 before it:

    - price_move: the close is beyond `move` of the mean of the previous closes.

    - volume, volatility: the volume, or log(high / low), is `z` standard deviations (of the 20
      before) above their mean; none if they do not vary.

    The direction is +1 or -1 for a move, else 0. Features: `severity` 1, or 2 beyond `strong_move`
    or twice `z`; `value` the fraction of the moving average, or the z.
    """
    by_series: list[list[Finding]] = [[] for _ in series]
    if not series:
        return by_series
    tape = Tape.of(series, PERIOD + 1)
    move, strong_move, z = np.array([(each.move, each.strong_move, each.z) for each in limits])[
        tape.segment
    ].T
    mean, _ = _usual(tape, tape.close)
    deviation = tape.close[tape.at] / mean - 1.0
    _findings(tape, PRICE, deviation, move, strong_move).add_to(by_series, tape, series)
    for kind, values in ((VOLUME, tape.volume), (VOLATILITY, np.log(tape.high / tape.low))):
        mean, spread = _usual(tape, values)
        varies = spread > 1e-9 * np.abs(mean)
        score = np.where(varies, (values[tape.at] - mean) / np.where(varies, spread, 1.0), 0.0)
        score = np.maximum(score, 0.0)
        _findings(tape, kind, score, z, 2 * z).add_to(by_series, tape, series)
    return by_series


def _usual(tape: Tape, values: Floats) -> tuple[Floats, Floats]:
    """Return mean and standard deviation before each candle; always summed in one order."""
    positions = tape.at - np.arange(1, PERIOD + 1)[:, None]
    in_window = positions >= tape.window
    before = np.where(in_window, values[np.maximum(positions, 0)], 0.0)
    count = np.minimum(tape.at - tape.window, PERIOD)
    assert (count >= FEWEST_CANDLES - 1).all()
    mean = _sum(before) / count
    return mean, np.sqrt(_sum(np.where(in_window, (before - mean) ** 2, 0.0)) / count)


def _sum(rows: Floats) -> Floats:
    total = np.zeros(rows.shape[1])
    for row in rows:  # one by one: NumPy may sum a single column in another order
        total += row
    return total


def _findings(tape: Tape, kind: str, value: Floats, limit: Floats, strong: Floats) -> Findings:
    """Return the candles whose value is beyond the limit."""
    row = np.flatnonzero(np.abs(value) >= limit)
    is_strong = np.abs(value[row]) >= strong[row]
    return Findings(
        names=(pattern_of(kind, 1), pattern_of(kind, 2)),
        name=is_strong.astype(np.int64),
        row=row,
        begin=tape.at[row],
        direction=np.sign(value[row]).astype(np.int64) * (kind == PRICE),
        confidence=np.array(_CONFIDENCE)[is_strong.astype(np.int64)],
        features={"value": value[row], "severity": np.where(is_strong, 2.0, 1.0)},
    )


def _positive(text: str) -> float:
    number = float(text)
    if not 0 < number < 1e6:
        raise ValueError(f"{text!r} is not a number above 0")
    return number


def _symbols(text: str, limits: AnomalyLimits) -> dict[str, AnomalyLimits]:
    limits_of = {}
    for each in filter(None, (part.strip() for part in text.split(";"))):
        symbol, _, rest = each.partition(" ")
        limits_of[symbol] = limits.changed(rest)
    return limits_of
