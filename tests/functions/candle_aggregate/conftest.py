"""A house of its own for each test that asks for one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import redis

from tests.functions.candle_aggregate.house import House


@pytest.fixture
def house(valkey: redis.Redis, database: str) -> Iterator[House]:
    house = House(valkey, database)
    assert house.epoch == 1  # begun while nothing was stored
    yield house
    house.postgres.close()
