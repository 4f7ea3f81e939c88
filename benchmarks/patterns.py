"""Patterns: new candles a second with all detectors on, beside all of TA-Lib on each window."""

from __future__ import annotations

import numpy as np
import talib

from benchmarks._measure import rate
from shared.analysis.anomalies import AnomalyLimits, anomalies
from shared.analysis.candle_series import Candles, Floats
from shared.analysis.detectors.detect import detect, detect_many
from shared.analysis.detectors.settings import DetectorSettings

LOOKBACK = 50
SYMBOLS = 500
HISTORY = 20_000
PEER_WINDOWS = 200

FUNCTIONS = [
    getattr(talib, name)
    for name in talib.get_function_groups()["Pattern Recognition"]  # type: ignore[no-untyped-call]
]


def market(count: int, seed: int) -> Candles:
    """Make a random walk in ticks of a cent, a candle a minute."""
    source = np.random.default_rng(seed)
    close = 100 * np.exp(np.cumsum(source.normal(0, 0.002, count)))
    open_ = np.append(100.0, close[:-1])
    high = np.maximum(open_, close) * np.exp(np.abs(source.normal(0, 0.001, count)))
    low = np.minimum(open_, close) * np.exp(-np.abs(source.normal(0, 0.001, count)))
    prices = [np.rint(each * 100) / 100 for each in (open_, high, low, close)]
    start_us = np.arange(count, dtype=np.int64) * 60_000_000
    volume = np.rint(source.lognormal(5, 1, count))
    return Candles(start_us, prices[0], prices[1], prices[2], prices[3], volume)


def peer(windows: list[tuple[Floats, ...]]) -> int:
    """Do what one writes first: for each new candle all functions on its window, the last value."""
    return sum(int(function(*window)[-1] != 0) for window in windows for function in FUNCTIONS)


def run() -> None:
    """Print the table: what arrives together, from one candle to a history."""
    settings = DetectorSettings()
    series = [market(LOOKBACK, seed) for seed in range(SYMBOLS)]
    windows: list[tuple[Floats, ...]] = [
        (c.open, c.high, c.low, c.close) for c in series[:PEER_WINDOWS]
    ]
    one_each = [(candles, LOOKBACK - 1) for candles in series]
    history = market(HISTORY, 1)
    limits = [AnomalyLimits()] * SYMBOLS
    measured = [
        (f"61 functions of TA-Lib on each window of {LOOKBACK}",
         rate(lambda: peer(windows), PEER_WINDOWS)),
        ("75 patterns, one new candle", rate(lambda: detect_many(one_each[:1], settings), 1)),
        ("75 patterns, a new candle of 20 symbols",
         rate(lambda: detect_many(one_each[:20], settings), 20)),
        (f"75 patterns, a new candle of {SYMBOLS} symbols",
         rate(lambda: detect_many(one_each, settings), SYMBOLS)),
        (f"75 patterns, a history of {HISTORY:,} candles",
         rate(lambda: detect(history, 0, settings), HISTORY)),
        (f"anomalies, a new candle of {SYMBOLS} symbols",
         rate(lambda: anomalies(one_each, limits), SYMBOLS)),
    ]  # fmt: skip
    base = measured[0][1]
    for name, speed in measured:
        print(f"{name:<48} {speed / 1e3:8.1f} k candles/CPU s  {speed / base:6.1f} x TA-Lib")
