from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import talib

from shared.analysis.candle_series import Candles, Floats
from shared.analysis.detectors.candlestick_table import CANDLESTICKS
from shared.analysis.detectors.candlestick_values import REACH, candlestick_values
from shared.analysis.detectors.detect import detect
from shared.analysis.detectors.settings import DetectorSettings
from shared.analysis.detectors.tape import Tape
from tests.shared.analysis.drawn import candles_of, random_candles, spy

ALL = DetectorSettings(min_confidence=0.0, patterns=frozenset(c.pattern for c in CANDLESTICKS))

TOUCHING_BODIES = {"CDLENGULFING", "CDLHARAMI", "CDLHARAMICROSS"}
"""TA-Lib 0.6 and later gives them +-80 where bodies share an end; the recording has 0."""


def test_the_table_has_all_61_functions_of_talib() -> None:
    """The table has each of TA-Lib's 61 candlestick functions once."""
    groups = talib.get_function_groups()  # type: ignore[no-untyped-call]
    assert [c.function for c in CANDLESTICKS] == sorted(groups["Pattern Recognition"])


def test_spy_equals_the_recorded_values(recorded_data: Path) -> None:
    """Each function gives the recorded values of SPY from the tenth day on.

    But for +-80 of the three functions that have them.
    """
    candles, rows = spy(recorded_data)
    found = {(f.index, f.pattern): f.features["value"] for f in detect(candles, 0, ALL)}
    compared = 0
    for index, row in enumerate(rows):
        for each in CANDLESTICKS:
            if index < 9 or row[each.function] == "":
                continue
            expected, value = int(row[each.function]), found.pop((index, each.pattern), 0)
            compared += 1
            if value != expected:
                assert each.function in TOUCHING_BODIES, (index, each.function)
                assert (expected, abs(value)) == (0, 80)
    assert compared > 29_000
    assert all(abs(value) == 80 for value in found.values()), "found where nothing was recorded"


@pytest.mark.parametrize("step", [0.002, 0.03, 0.3, 2.0])
def test_many_windows_in_one_call_equal_single_calls(step: float) -> None:
    """Values of many windows in one call equal TA-Lib's over each window's last 18 candles."""
    candles = random_candles(700, 3, step)
    tape = Tape.of([(candles, 0), (candles[:40], 35), (candles[100:], 0)], 50)
    values = candlestick_values(tape)
    for row in range(0, len(tape.at), 7):
        index = int(tape.at[row])
        rows = slice(max(int(tape.window[row]), index - REACH + 1), index + 1)
        window = [c[rows] for c in (tape.open, tape.high, tape.low, tape.close)]
        spread = (window[1] - window[2]).max() / 2 ** (np.floor(np.log2(window[2].min())) + 1)
        if 16 * spread > 1:
            window = [_to_32_bits(column) for column in window]
        expected = [getattr(talib, each.function)(*window)[-1] for each in CANDLESTICKS]
        if spread >= 2**17:
            expected = [0] * len(CANDLESTICKS)
        assert values[:, row].tolist() == expected
    assert (values != 0).any(axis=1).sum() > 25


@pytest.mark.parametrize("step", [0.002, 0.03, 0.3, 2.0])
def test_incremental_detection_equals_batch_detection(step: float) -> None:
    """Detection candle by candle equals detection at once, bit for bit, also at price jumps."""
    candles = random_candles(300, 4, step)
    together = detect(candles, 0, ALL)
    alone = [
        (index, f.pattern, f.begin_us, f.confidence, f.features)
        for index in range(len(candles))
        for first in [max(0, index - 49)]
        for f in detect(candles[first : index + 1], index - first, ALL)
    ]
    assert alone == [(f.index, f.pattern, f.begin_us, f.confidence, f.features) for f in together]
    assert len(together) > 100


def test_candles_before_the_window_have_no_effect() -> None:
    """Prices of another magnitude before the window, which a running sum keeps, have no effect."""
    candles = random_candles(200, 5)
    wild = random_candles(100, 6, 3.0)
    joined = _joined(wild, candles)
    tail = [(f.index, f.pattern, f.confidence) for f in detect(candles, 100, ALL)]
    same = [(f.index - 100, f.pattern, f.confidence) for f in detect(joined, 200, ALL)]
    assert tail == same
    assert tail


def test_ten_candles_are_the_minimum() -> None:
    """Nine candles give no pattern; the tenth can complete one."""
    candles = random_candles(400, 7)
    found = [detect(candles[i : i + 9], 0, ALL) for i in range(0, 390, 3)]
    assert not any(found)
    assert any(detect(candles[i : i + 10], 0, ALL) for i in range(0, 390, 3))


def test_confidence_grows_with_trend_and_volume() -> None:
    """A bullish engulfing has more confidence after a fall than after a rise, and with volume."""
    after_a_fall, after_a_rise = _engulfing(-0.4, 1.0), _engulfing(0.4, 1.0)
    assert after_a_fall > 0.65 > after_a_rise
    assert _engulfing(-0.4, 3.0) > after_a_fall


def _engulfing(step: float, volume: float) -> float:
    close = 100 + step * np.arange(31.0)
    open_ = close - step
    open_[-2], close[-2] = close[-3] + 0.2, close[-3] - 0.2
    open_[-1], close[-1] = close[-2] - 0.2, open_[-2] + 0.4
    high, low = np.maximum(open_, close) + 0.1, np.minimum(open_, close) - 0.1
    volumes = np.ones(31)
    volumes[-1] = volume
    found = detect(candles_of(open_, high, low, close, volumes), 30, ALL)
    confidence, direction = next(
        (f.confidence, f.direction) for f in found if f.pattern == "cdl_engulfing"
    )
    assert direction == 1
    return confidence


def _to_32_bits(prices: Floats) -> Floats:
    unit = 2.0 ** (np.floor(np.log2(prices)) - 31)
    rounded: Floats = np.rint(prices / unit) * unit
    return rounded


def _joined(first: Candles, second: Candles) -> Candles:
    columns = [
        np.concatenate([getattr(first, name), getattr(second, name)])
        for name in ("open", "high", "low", "close", "volume")
    ]
    return candles_of(*columns)
