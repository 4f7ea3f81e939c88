"""The real detectors in the stage, step by step, give the patterns of all candles at once."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal

import numpy as np
import psycopg
import redis

from functions.detect_pattern.detection import Detection, kind_of
from functions.detect_pattern.evaluate import EvaluationRules, Request
from shared.analysis.anomalies import AnomalySettings
from shared.analysis.candle_series import Candles
from shared.analysis.detectors.settings import DetectorSettings
from shared.wire.candle import Candle
from tests.functions.detect_pattern.house import MINUTE, House, candle

DETECTION = Detection(DetectorSettings(), AnomalySettings())
RULES = EvaluationRules(DETECTION, kind_of, DETECTION.lookback, cooldown_us=0)


def walk(seed: int, count: int) -> list[Candle]:
    """A strong random walk with some spikes of volume, decimals of four places."""
    source = random.Random(seed)
    price, candles = 100.0, []
    for minute in range(count):
        open_ = price
        price *= math.exp(source.gauss(0, 0.008))
        high = max(open_, price) * (1 + abs(source.gauss(0, 0.004)))
        low = min(open_, price) * (1 - abs(source.gauss(0, 0.004)))
        volume = source.uniform(5, 15) * (20 if source.random() < 0.02 else 1)
        o, h, low_, c, v = (Decimal(f"{x:.4f}") for x in (open_, high, low, price, volume))
        here = replace(candle(minute, 1), open=o, high=h, low=low_, close=c, volume=v)
        candles.append(here)
    return candles


def all_at_once(candles: Sequence[Candle]) -> set[tuple[str, int, float]]:
    """The detectors' patterns without the stage."""
    columns = [
        np.array([float(getattr(each, name)) for each in candles])
        for name in ("open", "high", "low", "close", "volume")
    ]
    starts = np.array([each.start_us for each in candles], dtype=np.int64)

    (found,) = DETECTION([Request("A", Candles(starts, *columns), 0)])
    return {(each.pattern, each.end_us // MINUTE, each.confidence) for each in found}


def test_one_by_one_and_all_at_once_tell_the_same(valkey: redis.Redis, database: str) -> None:
    """Batches of any size through the state give the patterns and confidences of one call."""
    house = House(valkey, database, RULES)
    candles = walk(1, 260)
    source, at = random.Random(2), 0
    while at < len(candles):
        size = source.choice([1, 1, 2, 30])
        house.deliver(house.receive(candles[at : at + size]))
        at += size
    with psycopg.connect(database) as connection:
        rows = connection.execute(
            "SELECT pattern, start_us / 60000000, confidence, kind, retracted FROM patterns"
        ).fetchall()
    house.postgres.close()
    expected = all_at_once(candles)
    assert {(name, minute, confidence) for name, minute, confidence, *_ in rows} == expected
    assert {kind for *_, kind, _ in rows} == {"candlestick", "chart", "anomaly"}
    assert not any(retracted for *_, retracted in rows)
