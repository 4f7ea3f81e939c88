from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from local.backtest.plot import PlotError
from local.backtest.run import backtest, chosen
from shared.analysis.candle_series import Candles, Floats
from shared.analysis.detectors.settings import DetectorSettings
from shared.analysis.finding import Finding
from shared.analysis.pattern_scores import (
    Returns,
    Score,
    by_confidence,
    by_pattern,
    wilson,
)
from tests.shared.analysis.drawn import candles_of, random_candles


def closing(close: Floats) -> Candles:
    return candles_of(close, close, close, close)


def fired(index: int, direction: int, confidence: float = 0.7, pattern: str = "p") -> Finding:
    return Finding(pattern, index, index, index, direction, confidence, {})


def one(scores: list[Score]) -> Score:
    (score,) = scores
    return score


def test_the_hit_rate_is_compared_with_the_base_rate() -> None:
    """A pattern's hit rate stands beside the base rate of all candles.

    Prices alternate: before rises only it is 100 %, of any candle 50 %.
    """
    returns = Returns(closing(np.tile([100.0, 110.0], 50)).close, 1)
    score = one(by_pattern(returns, [fired(i, 1) for i in range(0, 80, 2)]))
    assert (score.fired, score.evaluated, score.apart) == (40, 40, 40)
    assert score.hit_rate == 1.0
    assert score.base_hit_rate == pytest.approx(50 / 99)
    assert score.mean_return == pytest.approx(0.1)
    assert score.base_return == pytest.approx((50 * 0.1 - 49 / 11) / 99)
    assert score.verdict == "better"
    assert one(by_pattern(returns, [fired(i, -1) for i in range(0, 80, 2)])).verdict == "worse"


def test_a_fall_is_the_hit_of_a_bearish_pattern() -> None:
    """Returns and base rate of a bearish pattern count falls."""
    returns = Returns(closing(100 * 0.99 ** np.arange(30.0)).close, 2)
    score = one(by_pattern(returns, [fired(5, -1), fired(12, -1)]))
    assert (score.hit_rate, score.base_hit_rate) == (1.0, 1.0)
    assert score.mean_return == pytest.approx(1 - 0.99**2)
    assert score.base_return == pytest.approx(1 - 0.99**2)


def test_patterns_without_horizon_or_direction_are_not_evaluated() -> None:
    """Patterns of the last candles or without a direction count as occurrences only."""
    returns = Returns(closing(np.linspace(100, 130, 31)).close, 10)
    late = one(by_pattern(returns, [fired(20, 1), fired(21, 1), fired(30, 1)]))
    assert (late.fired, late.evaluated) == (3, 1)
    undecided = one(by_pattern(returns, [fired(3, 0)]))
    assert (undecided.fired, undecided.evaluated, undecided.verdict) == (1, 0, "few")
    assert math.isnan(undecided.hit_rate)


def test_overlapping_horizons_are_one_trial() -> None:
    """Ten occurrences in a row are one trial, with the interval of one."""
    returns = Returns(closing(random_candles(200, 1).close).close, 10)
    score = one(by_pattern(returns, [fired(i, 1) for i in [*range(20, 30), 35, 45]]))
    assert (score.evaluated, score.apart) == (12, 3)
    assert (score.hit_low, score.hit_high) == wilson(score.hit_rate, 3)


def test_the_interval_is_wilsons() -> None:
    """The interval equals published values: 81 of 263 and 0 of 20.

    Newcombe, Statistics in Medicine, 1998.
    """
    assert wilson(81 / 263, 263) == pytest.approx((0.2553, 0.3662), abs=1e-4)
    assert wilson(0.0, 20) == pytest.approx((0.0, 0.1611), abs=1e-4)
    assert wilson(float("nan"), 0) == (0.0, 1.0)


def test_confidence_is_evaluated_in_buckets() -> None:
    """Each detection is in one bucket of confidence, against the base rate of its direction."""
    returns = Returns(closing(np.tile([100.0, 110.0], 50)).close, 1)
    found = [fired(0, 1, 0.65), fired(2, -1, 0.699), fired(4, 1, 0.7), fired(6, 1, 1.0)]
    scores = by_confidence(returns, found)
    assert [(s.name, s.fired, s.hit_rate) for s in scores] == [
        ("0.65 - 0.70", 2, 0.5),
        ("0.70 - 0.75", 1, 1.0),
        ("0.90 - 1.00", 1, 1.0),
    ]
    assert scores[0].base_hit_rate == pytest.approx((50 / 99 + 49 / 99) / 2)


def written(candles: Candles, path: Path) -> str:
    columns = (candles.open, candles.high, candles.low, candles.close, candles.volume)
    rows = zip(candles.start_us.tolist(), *(each.tolist() for each in columns), strict=True)
    lines = ["start_us,open,high,low,close,volume", *(",".join(map(repr, row)) for row in rows)]
    path.write_text("\n".join(lines))
    return str(path)


@pytest.mark.processes  # matplotlib runs fc-list at its first use
def test_the_report_has_tables_json_and_a_picture(tmp_path: Path) -> None:
    """The report has tables, the same numbers as JSON, and a picture in each format."""
    candles = random_candles(1_500, 2)
    settings = DetectorSettings(min_confidence=0.5, patterns=chosen("chart"))
    for suffix, start in ((".png", b"\x89PNG"), (".svg", b"<?xml"), (".html", b"<!doctype html")):
        picture = tmp_path / f"plot{suffix}"
        backtest(candles, settings, 5, picture)
        assert picture.read_bytes().startswith(start)
    result = backtest(candles, settings, 5)
    text, report = result.text(), result.json()
    assert report["candles"] == 1_500
    assert report["fired"] == sum(score["fired"] for score in report["patterns"])
    assert report["fired"] == sum(score["fired"] for score in report["confidence"])
    assert report["fired"] > 100
    assert not any(score["name"].startswith("cdl_") for score in report["patterns"])
    for score in report["patterns"]:
        assert score["name"] in text
        assert score["confidence"] >= 0.5
    assert "1,500 candles from 1970-01-01 00:00" in text


def test_all_beside_others_are_all_patterns() -> None:
    """`all` in a list stands for every pattern, as it does alone."""
    assert chosen("all,chart") == chosen("cdl,chart")


@pytest.mark.processes  # matplotlib runs fc-list at its first use
def test_invalid_arguments_are_explained(tmp_path: Path) -> None:
    """An unknown pattern or a picture that cannot be written is explained."""
    with pytest.raises(ValueError, match="there is no pattern 'triple_top'"):
        chosen("triple_top")
    for picture, message in (
        (Path("x.gif"), "a plot ends in .png, .svg, .html"),
        (tmp_path / "no" / "x.png", "cannot be written"),
    ):
        with pytest.raises(PlotError, match=message):
            backtest(random_candles(50, 3), DetectorSettings(), 10, picture)
