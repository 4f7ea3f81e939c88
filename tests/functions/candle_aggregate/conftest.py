"""A replica of candle-aggregate over an empty Redis."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import redis

from tests.functions.candle_aggregate.replicas import Replica


@pytest.fixture
def replica(valkey: redis.Redis) -> Iterator[Replica]:
    replica = Replica(valkey, "a")
    yield replica
    replica.engine.close()
