"""A replica over an empty Redis, and candle-aggregate with persist over empty stores."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import redis

from functions.candle_aggregate.corrections import replace
from tests.functions.candle_aggregate.replicas import Replica
from tests.functions.candle_aggregate.world import World


@pytest.fixture
def replica(valkey: redis.Redis) -> Iterator[Replica]:
    replica = Replica(valkey, "a")
    yield replica
    replica.engine.close()


@pytest.fixture
def other(valkey: redis.Redis) -> Iterator[Replica]:
    other = Replica(valkey, "b")
    yield other
    other.engine.close()


@pytest.fixture(autouse=True)
def _what_is_not_stored_stays_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is stored beside a repair here: it need not wait to see whether it is."""
    monkeypatch.setattr(replace, "STORED_WITHIN_S", 0.0)


@pytest.fixture
def world(valkey: redis.Redis, database: str) -> Iterator[World]:
    world = World(valkey, database)
    yield world
    world.close()
