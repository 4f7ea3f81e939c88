"""All 61 functions and all chart detectors over difficult series of real markets."""

from __future__ import annotations

import math

import numpy as np
import pytest

from shared.analysis.candle_series import Candles, Floats
from shared.analysis.detectors.detect import PATTERNS, detect
from shared.analysis.detectors.settings import DetectorSettings

ALL = DetectorSettings(min_confidence=0.0)
MINUTE_US = 60_000_000


def candles(open_: Floats, high: Floats, low: Floats, close: Floats, gap: int = 1) -> Candles:
    starts = np.cumsum(np.where(np.arange(len(close)) % 17 == 16, gap, 1)) * MINUTE_US
    volume = (np.arange(len(close)) % 3).astype(np.float64)
    return Candles(starts, open_, high, low, close, volume)


def walk(unit: float = 1.0, n: int = 600, gap: int = 1) -> Candles:
    source = np.random.default_rng(11)
    close = np.exp(np.cumsum(source.normal(0, 0.01, n)))
    open_ = np.concatenate(([1.0], close[:-1])) * np.exp(source.normal(0, 0.003, n))
    high = np.maximum(open_, close) * np.exp(np.abs(source.normal(0, 0.004, n)))
    low = np.minimum(open_, close) * np.exp(-np.abs(source.normal(0, 0.004, n)))
    return candles(open_ * unit, high * unit, low * unit, close * unit, gap)


def one_price(n: int = 600) -> Candles:
    """One trade a candle, a cent up or down, unchanged half of the time."""
    source = np.random.default_rng(5)
    steps = source.integers(-1, 2, n) * (np.arange(n) % 120 >= 60)
    close = (2000 + np.cumsum(steps)) / 100
    return candles(close, close, close, close)


def flat(n: int = 200) -> Candles:
    close = np.full(n, 5.0)
    return candles(close, close, close, close)


def flat_then_a_range(n: int = 200) -> Candles:
    close = np.full(n, 5.0)
    high = np.where(np.arange(n) % 50 == 49, 5.01, 5.0)
    return candles(close, high, close, close)


@pytest.mark.parametrize(
    "series",
    [walk(), walk(1e-12), walk(1e60), walk(gap=9), one_price(), flat(), flat_then_a_range()],
    ids=["plain", "tiny", "huge", "gapped", "one price", "flat", "flat then a range"],
)
def test_confidence_is_a_share_and_features_are_numbers(series: Candles) -> None:
    """Confidence is at most 1 and features are finite for any series."""
    for found in detect(series, 0, ALL):
        assert 0.0 <= found.confidence <= 1.0, found
        assert all(math.isfinite(value) for value in found.features.values()), found


def test_candles_of_one_price_are_no_candlesticks() -> None:
    """Candles of one price complete no candlestick pattern, and a flat market no pattern."""
    assert not [each for each in detect(one_price(), 0, ALL) if each.pattern.startswith("cdl_")]
    assert detect(flat(), 0, ALL) == []


def test_the_first_range_after_a_flat_market_is_not_large() -> None:
    """The first range after a flat market is not large: there is nothing to compare it with."""
    assert [each for each in detect(flat_then_a_range(), 0, ALL) if each.confidence > 0.9] == []


def test_the_unit_of_the_price_changes_no_pattern() -> None:
    """Prices in a unit of 2^-40 or 2^200 give the same patterns."""
    plain = [(f.pattern, f.index, f.direction) for f in detect(walk(), 0, ALL)]
    assert len({pattern for pattern, *_ in plain}) > len(PATTERNS) / 2
    for unit in (2.0**-40, 2.0**200):
        assert [(f.pattern, f.index, f.direction) for f in detect(walk(unit), 0, ALL)] == plain
