"""Anomalies: candles whose price, volume or range is far from what it was before them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np

from shared.analysis.candle_series import Candles, Floats
from shared.analysis.detectors.settings import FEWEST_CANDLES
from shared.analysis.detectors.tape import Tape
from shared.runtime.settings import Environment

PRICE, VOLUME, VOLATILITY = "price_move", "volume", "volatility"
"""The kinds."""

PERIOD: Final = 20
"""Candles that define the baseline; fewer if there are fewer, at least 9."""


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


@dataclass(frozen=True, slots=True)
class Anomaly:
    """An unusual candle: `index` in the input, `end_us` its start.

    `kind` price_move, volume or volatility; `direction` +1 or -1 for a move, else 0; `severity` 1,
    or 2 beyond `strong_move` or twice `z`; `value` the fraction of the moving average, or the z.
    """

    kind: str
    index: int
    end_us: int
    direction: int
    severity: int
    value: float


def pattern_of(kind: str, severity: int) -> str:
    """Return the name of an anomaly's pattern."""
    return f"anomaly_{'strong_' if severity > 1 else ''}{kind}"


PATTERNS: Final = tuple(
    pattern_of(kind, severity) for kind in (PRICE, VOLUME, VOLATILITY) for severity in (1, 2)
)


def anomalies(candles: Candles, first: int, limits: AnomalyLimits) -> list[Anomaly]:
    """Return the anomalies of candles[first:], by candle, then by kind."""
    return anomalies_of_many([(candles, first, limits)])[0]


def anomalies_of_many(
    series: Sequence[tuple[Candles, int, AnomalyLimits]],
) -> list[list[Anomaly]]:
    """Return the anomalies of each series. A candle is compared with up to 20 before it.

    - price_move: the close is beyond `move` of the mean of the previous closes.

    - volume, volatility: the volume, or log(high / low), is `z` standard deviations (of the 20
    before) above their mean; none if they do not vary.
    """
    anomalies: list[list[Anomaly]] = [[] for _ in series]
    if not series:
        return anomalies
    tape = Tape.of([(candles, first) for candles, first, _ in series], PERIOD + 1)
    limits = np.array([(each.move, each.strong_move, each.z) for *_, each in series])
    move, strong_move, z = limits[tape.segment].T
    mean, _ = _usual(tape, tape.close)
    deviation = tape.close[tape.at] / mean - 1.0
    _collect(anomalies, series, tape, PRICE, deviation, move, strong_move)
    for kind, values in ((VOLUME, tape.volume), (VOLATILITY, np.log(tape.high / tape.low))):
        mean, spread = _usual(tape, values)
        varies = spread > 1e-9 * np.abs(mean)
        score = np.where(varies, (values[tape.at] - mean) / np.where(varies, spread, 1.0), 0.0)
        _collect(anomalies, series, tape, kind, np.maximum(score, 0.0), z, 2 * z)
    for each in anomalies:
        each.sort(key=lambda one: (one.index, one.kind))
    return anomalies


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


def _collect(
    anomalies: list[list[Anomaly]],
    series: Sequence[tuple[Candles, int, AnomalyLimits]],
    tape: Tape,
    kind: str,
    value: Floats,
    limit: Floats,
    strong: Floats,
) -> None:
    for row in np.flatnonzero(np.abs(value) >= limit).tolist():
        number = int(tape.segment[row])
        index = int(tape.at[row] + tape.offset[number])
        anomalies[number].append(
            Anomaly(
                kind=kind,
                index=index,
                end_us=int(series[number][0].start_us[index]),
                direction=int(np.sign(value[row])) if kind == PRICE else 0,
                severity=2 if abs(value[row]) >= strong[row] else 1,
                value=round(float(value[row]), 6),
            )
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
