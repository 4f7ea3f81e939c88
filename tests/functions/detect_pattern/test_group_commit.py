"""Group commit of candles: concurrent threads share a step."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import redis

from tests.functions.detect_pattern.house import RULES, House, candle, reference


def test_concurrent_events_of_one_series_are_told_as_one_by_one(
    valkey: redis.Redis, database: str
) -> None:
    """Sixteen threads with one series give the patterns of one by one, without a conflict."""
    house = House(valkey, database)
    house.tick()
    candles = [candle(n, 100 + n * 7 % 11) for n in range(64)]
    with ThreadPoolExecutor(16) as pool:
        outcomes = list(pool.map(lambda n: house.receive(candles[n::16]), range(16)))
        list(pool.map(house.deliver, outcomes))
    house.settle()
    assert house.heard() == house.stored() == reference(candles, RULES)
    house.postgres.close()
