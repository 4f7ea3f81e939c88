from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from shared.analysis.anomalies import AnomalyLimits, AnomalySettings, anomalies
from shared.analysis.candle_series import Candles
from shared.analysis.finding import Finding
from shared.runtime.settings import Environment, SettingsError
from tests.shared.analysis.drawn import candles_of, random_candles

LIMITS = AnomalyLimits()


def found(candles: Candles, first: int = 0, limits: AnomalyLimits = LIMITS) -> list[Finding]:
    """Return the anomalies of one series, by candle and name."""
    (findings,) = anomalies([(candles, first)], [limits])
    return sorted(findings, key=lambda each: (each.index, each.pattern))


def flat(close: float = 100.0, volume: float = 100.0, range_: float = 1.0) -> Candles:
    """Thirty quiet candles around 100, and a last one."""
    wiggle = np.tile([-0.05, 0.05], 15)
    closes = np.append(100 + wiggle, close)
    width = np.append(1.0 + wiggle, range_)
    volumes = np.append(100 * (1 + wiggle), volume)
    return candles_of(
        closes, closes * (1 + width / 200), closes / (1 + width / 200), closes, volumes
    )


@pytest.mark.parametrize(
    ("close", "severity", "direction"),
    [(101.9, 0, 0), (102.1, 1, 1), (105.1, 2, 1), (98.1, 0, 0), (97.9, 1, -1), (94.9, 2, -1)],
)
def test_a_move_against_the_moving_average(close: float, severity: int, direction: int) -> None:
    """A move of over 2 % from the average is an anomaly, of over 5 % a strong one, both ways."""
    moves = [each for each in found(flat(close)) if each.pattern.endswith("price_move")]
    names = ["", "anomaly_price_move", "anomaly_strong_price_move"]
    assert [(each.index, each.pattern, each.direction) for each in moves] == [
        (30, names[severity], direction)
    ] * bool(severity)
    for each in moves:
        assert each.confidence == [0, 0.7, 0.9][severity]
        assert each.features["severity"] == severity
        assert each.features["value"] == pytest.approx(close / 100 - 1, abs=1e-6)


def test_volume_and_volatility_by_z_score() -> None:
    """A rise of 3 deviations is an anomaly, of 6 a severe one, and a fall is none.

    Both vary by 5 % here.
    """
    for name, usual, kind in (("volume", 100.0, "volume"), ("range_", 1.0, "volatility")):
        for factor, pattern in (
            *((0.1, ""), (1.14, ""), (1.17, f"anomaly_{kind}")),
            *((1.29, f"anomaly_{kind}"), (1.32, f"anomaly_strong_{kind}")),
        ):
            unusual = found(flat(**{name: usual * factor}))
            assert [(each.pattern, each.direction) for each in unusual] == [(pattern, 0)] * bool(
                pattern
            )


def test_constant_volume_has_no_z_score() -> None:
    """After constant volume no candle is an anomaly of volume."""
    ones = np.ones(30)
    volume = np.append(np.ones(29), 50.0)
    assert found(candles_of(ones, ones * 1.01, ones, ones, volume)) == []


def test_anomalies_do_not_repaint() -> None:
    """Anomalies one by one, at once and among other series are equal bit for bit."""
    candles = random_candles(400, 3, 0.02)
    together = found(candles)
    alone = []
    for index in range(len(candles)):
        begin = max(0, index - 20)
        one = found(candles[begin : index + 1], index - begin)
        alone += [replace(each, index=index) for each in one]
    assert alone == together
    assert {each.pattern.rsplit("_")[-1] for each in together} == {"move", "volume", "volatility"}
    assert min(each.index for each in together) >= 9
    others = random_candles(100, 4)
    loose = AnomalyLimits(0.001, 0.002, 0.5)
    both = anomalies([(others, 50), (candles, 0)], [loose, LIMITS])
    assert [sorted(some, key=lambda each: (each.index, each.pattern)) for some in both] == [
        found(others, 50, loose),
        together,
    ]
    assert anomalies([], []) == []


def test_symbols_may_override_limits() -> None:
    """A symbol's own limits override the common ones, which apply to the rest."""
    env = Environment(
        {"ANOMALY_LIMITS": "z=4", "ANOMALY_SYMBOLS": "DOGE-USD move=0.1 strong_move=0.2;"}
    )
    settings = AnomalySettings.read(env)
    env.check()
    assert settings.of("BTC-USD") == AnomalyLimits(0.02, 0.05, 4.0)
    assert settings.of("DOGE-USD") == AnomalyLimits(0.1, 0.2, 4.0)


@pytest.mark.parametrize("text", ["moves=1", "z=none", "move=-1", "move=0.5", "z=nan"])
def test_bad_limits_are_refused_at_the_start(text: str) -> None:
    """Bad limits are refused at start with the name of the setting."""
    env = Environment({"ANOMALY_LIMITS": text})
    AnomalySettings.read(env)
    with pytest.raises(SettingsError, match="ANOMALY_LIMITS"):
        env.check()
