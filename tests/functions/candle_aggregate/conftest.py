"""A replica over an empty Redis, and candle-aggregate with persist over empty stores."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import redis

from tests.functions.candle_aggregate.replicas import Replica
from tests.functions.candle_aggregate.world import World


@pytest.fixture
def replica(valkey: redis.Redis) -> Iterator[Replica]:
    replica = Replica(valkey, "a")
    yield replica
    replica.engine.close()


@pytest.fixture
def world(valkey: redis.Redis, database: str) -> Iterator[World]:
    world = World(valkey, database)
    world.reset()
    yield world
    world.close()
