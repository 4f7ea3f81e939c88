from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.analysis.candle_series import Candles
from shared.analysis.detectors.charts import CHARTS
from shared.analysis.detectors.detect import detect
from shared.analysis.detectors.settings import DetectorSettings
from shared.analysis.finding import Finding
from tests.shared.analysis.drawn import drawn, random_candles, upside_down

ALL_CHARTS = DetectorSettings(min_confidence=0.0, patterns=frozenset(CHARTS))
MIRROR = {
    "flat_top_breakout": "flat_bottom_breakdown",
    "bullish_reversal": "bearish_reversal",
    "double_top": "double_bottom",
    "bull_flag": "bear_flag",
    "head_and_shoulders": "inverse_head_and_shoulders",
    "ascending_triangle": "descending_triangle",
    "symmetrical_triangle": "symmetrical_triangle",
    "channel_breakout": "channel_breakout",
}
MIRROR |= {mirrored: pattern for pattern, mirrored in MIRROR.items()}
DIRECTION = {
    "flat_top_breakout": 1,
    "bullish_reversal": 1,
    "double_top": -1,
    "bull_flag": 1,
    "head_and_shoulders": -1,
    "ascending_triangle": 1,
    "symmetrical_triangle": 1,
    "channel_breakout": 1,
}

Turns = tuple[tuple[int, float], ...]


def double_top(second: float = 100.5, neck: float = 92.0, close: float = 91.0) -> Turns:
    return (0, 85), (12, 100), (20, neck), (28, second), (34, 93), (35, close)


def head_and_shoulders(right: float = 97.4, trough: float = 93.2, head: float = 103.0) -> Turns:
    return (0, 88), (8, 97), (13, 93), (20, head), (27, trough), (33, right), (37, 93.5), (38, 92)


def bull_flag(rest: float = 97.0, close: float = 99.8, foot: float = 90.5) -> Turns:
    return (0, 90), (15, foot), (20, 100), (26, rest), (27, rest + 1.5), (28, close)


def flat_top(middle: float = 99.8, close: float = 101.2, low: float = 96.2) -> Turns:
    return (
        (0, 94), (8, 100), (13, 96), (18, middle), (23, low), (28, 100.1), (33, 96.8),
        (36, 99.5), (37, close),
    )  # fmt: skip


def ascending(second: float = 99.9, low: float = 96.3, close: float = 101.0) -> Turns:
    return (
        (0, 92), (8, 100), (13, 94), (18, second), (23, low), (27, 99.0), (28, 99.3), (29, close),
    )  # fmt: skip


def symmetrical(second: float = 101.0, low: float = 95.2, close: float = 101.2) -> Turns:
    return (
        (0, 94), (8, 103), (13, 93), (18, second), (23, low), (26, 98.5), (27, 99), (28, close),
    )  # fmt: skip


def channel(third: float = 104.0, low: float = 100.0, close: float = 107.0) -> Turns:
    return (
        (0, 94), (5, 100), (10, 96), (15, 102), (20, 98), (25, third), (30, low), (33, 103.5),
        (34, close),
    )  # fmt: skip


def reversal(close: float = 93.0, earlier: float = 100.0) -> Turns:
    return (0, 100), (5, 101), (9, earlier), (11, 100.5), (25, 92), (26, 91.5), (27, close)


DRAWN = {
    "double_top": double_top(),
    "head_and_shoulders": head_and_shoulders(),
    "bull_flag": bull_flag(),
    "flat_top_breakout": flat_top(),
    "ascending_triangle": ascending(),
    "symmetrical_triangle": symmetrical(),
    "channel_breakout": channel(),
    "bullish_reversal": reversal(),
}

NEAR_MISSES = [
    ("double_top", double_top(second=100.9), double_top(second=101.2)),
    ("double_top", double_top(second=99.1), double_top(second=98.8)),
    ("double_top", double_top(close=91.8), double_top(close=92.1)),
    ("head_and_shoulders", head_and_shoulders(right=97.9), head_and_shoulders(right=98.1)),
    ("head_and_shoulders", head_and_shoulders(trough=93.8), head_and_shoulders(trough=94.1)),
    ("head_and_shoulders", head_and_shoulders(head=100.0), head_and_shoulders(head=98.0)),
    ("bull_flag", bull_flag(rest=95.4), bull_flag(rest=94.9)),
    ("bull_flag", bull_flag(close=99.7), bull_flag(close=99.5)),
    ("bull_flag", bull_flag(foot=93.5, rest=98.0), bull_flag(foot=98.9, rest=99.5, close=101.2)),
    ("flat_top_breakout", flat_top(middle=99.2), flat_top(middle=99.0)),
    ("flat_top_breakout", flat_top(close=100.3), flat_top(close=100.1)),
    ("flat_top_breakout", flat_top(low=95.3), flat_top(low=96.9, middle=98.9)),
    ("ascending_triangle", ascending(second=99.6), ascending(second=98.9)),
    ("ascending_triangle", ascending(low=95.2), ascending(low=94.3)),
    ("ascending_triangle", ascending(close=100.1), ascending(close=99.7)),
    ("symmetrical_triangle", symmetrical(second=101.5), symmetrical(second=101.9)),
    ("symmetrical_triangle", symmetrical(low=94.6), symmetrical(low=93.8)),
    ("channel_breakout", channel(third=103.5), channel(third=103.2)),
    ("channel_breakout", channel(close=106.3), channel(close=105.3)),
    ("bullish_reversal", reversal(close=92.2), reversal(close=92.0)),
    ("bullish_reversal", reversal(earlier=92.5), reversal(earlier=90.5)),
]


def only(pattern: str, tolerance: float = 0.01) -> DetectorSettings:
    return DetectorSettings(tolerance, 0.0, 50, frozenset({pattern}))


def completed(candles: Candles, pattern: str, tolerance: float = 0.01) -> list[Finding]:
    """Patterns of this kind that the last candle completes."""
    return detect(candles, len(candles) - 1, only(pattern, tolerance))


def places(found: list[Finding]) -> list[tuple[int, str, int, int]]:
    return sorted((f.index, f.pattern, f.direction, f.begin_us) for f in found)


@pytest.mark.parametrize("pattern", DRAWN)
def test_a_drawn_pattern_is_detected_when_it_completes(pattern: str) -> None:
    """A drawn pattern is detected at its last candle with its direction and confidence.

    So is its mirror image upside down.
    """
    candles = drawn(*DRAWN[pattern], volume=2.0)
    (found,) = completed(candles, pattern)
    assert found.direction == DIRECTION[pattern]
    assert found.confidence >= 0.65
    assert found.end_us == candles.start_us[-1]
    (mirrored,) = completed(upside_down(candles), MIRROR[pattern])
    assert mirrored.direction == -found.direction
    assert mirrored.confidence == pytest.approx(found.confidence, abs=2e-4)
    assert mirrored.begin_us == found.begin_us


@pytest.mark.parametrize(("pattern", "inside", "outside"), NEAR_MISSES)
def test_a_pattern_just_outside_of_its_definition_is_not_detected(
    pattern: str, inside: Turns, outside: Turns
) -> None:
    """A pattern is detected on one side of each limit and not on the other, mirrored too."""
    for candles, name in (
        (drawn(*inside), pattern),
        (upside_down(drawn(*inside)), MIRROR[pattern]),
    ):
        assert completed(candles, name)
    for candles, name in (
        (drawn(*outside), pattern),
        (upside_down(drawn(*outside)), MIRROR[pattern]),
    ):
        assert not completed(candles, name)


def test_the_tolerance_is_relative_to_the_price() -> None:
    """Tops 1.2 % apart are a double top at 2 % and not at 1 %, whether at 100 or 0.0001."""
    for price in (1.0, 1e-6, 1e4):
        candles = drawn(*((place, value * price) for place, value in double_top(second=101.2)))
        assert completed(candles, "double_top", 0.02)
        assert not completed(candles, "double_top", 0.01)


def test_the_minimum_confidence_applies_to_every_detector() -> None:
    """A higher minimum confidence removes exactly the patterns below it."""
    candles = random_candles(3_000, 11)
    everything = detect(candles, 0, DetectorSettings(min_confidence=0.0))
    least = DetectorSettings().min_confidence
    assert detect(candles, 0, DetectorSettings()) == [
        f for f in everything if f.confidence >= least
    ]
    assert min(f.confidence for f in everything) < least
    assert all(0 <= f.confidence <= 1 for f in everything)


@settings(max_examples=40, deadline=None)
@given(
    st.integers(0, 10_000),
    st.floats(1e-4, 1e5),
    st.integers(-(2**40), 2**40),
    st.sampled_from([0.0005, 0.005, 0.03]),
)
def test_detection_is_independent_of_scale_and_time(
    seed: int, scale: float, shift: int, step: float
) -> None:
    """Scaled prices and volumes or shifted times give the same patterns, candlesticks included."""
    candles = random_candles(120, seed, step, ticks=False)
    other = Candles(
        candles.start_us + shift,
        candles.open * scale,
        candles.high * scale,
        candles.low * scale,
        candles.close * scale,
        candles.volume * scale,
    )
    every = DetectorSettings(min_confidence=0.0)
    found, same = detect(candles, 0, every), detect(other, 0, every)
    assert [(i, p, d, begin + shift) for i, p, d, begin in places(found)] == places(same)
    assert [f.confidence for f in same] == pytest.approx([f.confidence for f in found], abs=2e-4)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from([0.0005, 0.005, 0.03]))
def test_mirrored_prices_give_mirrored_patterns(seed: int, step: float) -> None:
    """In 1/p each chart pattern is its counterpart with the same confidence."""
    candles = random_candles(250, seed, step, ticks=False)
    found = detect(candles, 0, ALL_CHARTS)
    mirrored = detect(upside_down(candles), 0, ALL_CHARTS)
    assert places(mirrored) == sorted(
        (f.index, MIRROR[f.pattern], -f.direction, f.begin_us) for f in found
    )
    assert sorted(f.confidence for f in mirrored) == pytest.approx(
        sorted(f.confidence for f in found), abs=2e-4
    )


def test_random_walks_have_each_pattern_now_and_then() -> None:
    """A random walk of 20,000 candles has each chart pattern, and none more than 600 times."""
    candles = random_candles(20_000, 12, 0.004)
    found = [f.pattern for f in detect(candles, 0, DetectorSettings(patterns=frozenset(CHARTS)))]
    counts = np.array([found.count(pattern) for pattern in CHARTS])
    assert (counts > 0).all(), dict(zip(CHARTS, counts, strict=True))
    assert (counts < 600).all(), dict(zip(CHARTS, counts, strict=True))
