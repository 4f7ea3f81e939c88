from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.analysis.candle_series import Candles
from shared.analysis.detectors.detect import PATTERNS, detect, detect_many
from shared.analysis.detectors.settings import FEWEST_CANDLES, DetectorSettings
from shared.analysis.finding import Finding
from shared.runtime.settings import Environment, SettingsError
from tests.shared.analysis.drawn import random_candles, spy

EVERY = DetectorSettings(min_confidence=0.0)


def one_by_one(candles: Candles, settings: DetectorSettings) -> list[tuple[object, ...]]:
    """Live detection: each candle with no more than its window."""
    return [
        without_index(f)
        for index in range(len(candles))
        for begin in [max(0, index - settings.lookback + 1)]
        for f in detect(candles[begin : index + 1], index - begin, settings)
    ]


def without_index(found: Finding) -> tuple[object, ...]:
    """All fields but the index, which depends on where the input begins."""
    f = found
    return (f.pattern, f.begin_us, f.end_us, f.direction, f.confidence, dict(f.features))


@settings(max_examples=12, deadline=None)
@given(
    st.integers(0, 10_000),
    st.sampled_from([0.0005, 0.01, 0.3]),
    st.sampled_from([20, 50, 120]),
    st.booleans(),
)
def test_patterns_do_not_repaint(seed: int, step: float, lookback: int, ticks: bool) -> None:
    """Detection candle by candle, each with its window only, equals detection at once."""
    candles = random_candles(150, seed, step, ticks)
    each = DetectorSettings(min_confidence=0.0, lookback=lookback)
    assert one_by_one(candles, each) == [without_index(f) for f in detect(candles, 0, each)]


def test_recorded_candles_do_not_repaint(recorded_data: Path) -> None:
    """Two years of SPY give the same patterns candle by candle and at once."""
    candles, _ = spy(recorded_data)
    together = [without_index(f) for f in detect(candles, 0, EVERY)]
    assert one_by_one(candles, EVERY) == together
    assert len(together) > 1_000


def test_many_series_in_one_call_equal_single_calls() -> None:
    """A series gives the same patterns alone and beside others in one call."""
    series = [
        (random_candles(200, 1, 0.002), 150),
        (random_candles(5, 2), 0),
        (random_candles(60, 3, 0.5), 0),
        (random_candles(90, 4), 90),
        (random_candles(300, 5, 0.0002), 49),
    ]
    together = detect_many(series, EVERY)
    assert together == [detect(candles, first, EVERY) for candles, first in series]
    assert [bool(found) for found in together] == [True, False, True, False, True]
    assert detect_many([], EVERY) == []


def test_only_new_candles_are_evaluated() -> None:
    """Patterns that older candles completed are not detected again."""
    candles = random_candles(200, 6)
    found = detect(candles, 0, EVERY)
    assert detect(candles, 150, EVERY) == [f for f in found if f.index >= 150]


def test_no_pattern_before_the_tenth_candle() -> None:
    """Fewer than ten candles give no pattern; the tenth can complete one."""
    series = [(random_candles(FEWEST_CANDLES, seed, 0.02), 0) for seed in range(300)]
    assert not any(detect_many([(candles[:9], 0) for candles, _ in series], EVERY))
    indices = {f.index for found in detect_many(series, EVERY) for f in found}
    assert indices == {FEWEST_CANDLES - 1}


def test_selected_patterns_only() -> None:
    """A selection gives exactly its part of all patterns."""
    candles = random_candles(500, 8)
    chosen = frozenset({"double_top", "cdl_engulfing", "bearish_reversal"})
    found = detect(candles, 0, DetectorSettings(min_confidence=0.0, patterns=chosen))
    assert found == [f for f in detect(candles, 0, EVERY) if f.pattern in chosen]
    assert found
    assert len(PATTERNS) == len(set(PATTERNS)) == 61 + 14


def test_settings_are_read_and_checked() -> None:
    """The three settings are read and refused out of bounds."""
    read = DetectorSettings.read(Environment({"PATTERN_TOLERANCE": "0.02"}))
    assert read == DetectorSettings(tolerance=0.02)
    for name, bad in (
        ("PATTERN_TOLERANCE", "1.5"),
        ("PATTERN_MIN_CONFIDENCE", "nan"),
        ("PATTERN_LOOKBACK_WINDOW", "10"),
    ):
        env = Environment({name: bad})
        DetectorSettings.read(env)
        with pytest.raises(SettingsError, match=name):
            env.check()
