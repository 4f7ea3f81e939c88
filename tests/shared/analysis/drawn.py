"""Candles for tests: along a drawn path, random, or recorded."""

from __future__ import annotations

import csv
import gzip
from pathlib import Path

import numpy as np

from shared.analysis.candle_series import Candles, Floats

MINUTE_US = 60_000_000
SPY = Path("patterns/spy_candle_patterns.csv.gz")


def candles_of(
    open_: Floats, high: Floats, low: Floats, close: Floats, volume: Floats | None = None
) -> Candles:
    """Candles from columns, one a minute."""
    start_us = np.arange(len(close), dtype=np.int64) * MINUTE_US
    return Candles(
        start_us, open_, high, low, close, np.ones(len(close)) if volume is None else volume
    )


def random_candles(count: int, seed: int, step: float = 0.01, ticks: bool = True) -> Candles:
    """A random walk with typical move `step`, on whole ticks so that equal prices occur."""
    source = np.random.default_rng(seed)
    close = 100 * np.exp(np.cumsum(source.normal(0, step, count)))
    open_ = np.append(100.0, close[:-1]) * np.exp(source.normal(0, step / 4, count))
    high = np.maximum(open_, close) * np.exp(np.abs(source.normal(0, step / 2, count)))
    low = np.minimum(open_, close) * np.exp(-np.abs(source.normal(0, step / 2, count)))
    prices = (open_, high, low, close)
    if ticks:
        open_, high, low, close = (np.maximum(np.rint(each * 20), 1) / 20 for each in prices)
    return candles_of(open_, high, low, close, np.rint(source.lognormal(5, 1, count)))


def spy(recorded_data: Path) -> tuple[Candles, list[dict[str, str]]]:
    """The recorded daily bars of SPY, and the recorded values of 61 functions."""
    with gzip.open(recorded_data / SPY, "rt") as file:
        rows = list(csv.DictReader(file))
    columns = [
        np.array([float(row[name]) for row in rows])
        for name in ("Open", "High", "Low", "Close", "Volume")
    ]
    return candles_of(*columns), rows


def drawn(*turns: tuple[int, float], wick: float = 0.001, volume: float = 1.0) -> Candles:
    """Straight lines between turning points (candle, price); each candle closes on them.

    Every candle opens at the previous close and has wicks of `wick` relative to its price; the last
    has `volume` times that of the others.
    """
    places, prices = zip(*turns, strict=True)
    close = np.exp(np.interp(np.arange(places[-1] + 1), places, np.log(prices)))
    open_ = np.append(close[0], close[:-1])
    high, low = np.maximum(open_, close) * (1 + wick), np.minimum(open_, close) / (1 + wick)
    volumes = np.ones(len(close))
    volumes[-1] = volume
    return candles_of(open_, high, low, close, volumes)


def upside_down(candles: Candles) -> Candles:
    """The mirror image: each price p becomes 1/p."""
    return Candles(
        candles.start_us,
        10_000 / candles.open,
        10_000 / candles.low,
        10_000 / candles.high,
        10_000 / candles.close,
        candles.volume,
    )
