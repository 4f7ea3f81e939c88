"""Readers of the live state: what they ask Redis for, and how often."""

from __future__ import annotations

from typing import Any

import pytest
import redis
from redis.client import Pipeline

from functions.candle_aggregate.rules import Rules
from shared.market.timeframes import DEFAULT_LADDER, parse_ladder
from shared.realtime.readers import LiveState
from tests.functions.candle_aggregate.replicas import Replica
from tests.functions.history_query.market import batches, generated

LADDER = parse_ladder(DEFAULT_LADDER)


@pytest.mark.parametrize("everything", [False, True])
def test_live_candles_take_two_round_trips(
    valkey: redis.Redis, monkeypatch: pytest.MonkeyPatch, *, everything: bool
) -> None:
    """The blocks of the shard, then candles and instruments together; one if there is no block."""
    replica = Replica(valkey, "a", Rules(LADDER, 2_000_000, 5_000_000, 1_000_000, shards=1))
    for number, batch in enumerate(batches(generated(3, 400), "A", 200)):
        replica.apply(**{f"e{number}": batch})
    replica.engine.close()
    live = LiveState(valkey, 1, LADDER)
    round_trips, execute = [], Pipeline.execute

    def counted(pipeline: Pipeline, *arguments: Any, **more: Any) -> Any:
        round_trips.append(len(pipeline.command_stack))
        return execute(pipeline, *arguments, **more)

    monkeypatch.setattr(Pipeline, "execute", counted)
    hour = LADDER[-2]
    found = live.all_candles(hour) if everything else live.candles("A", hour, 0, 10**18)
    assert any(candle.partial for candle in found.candles())
    assert len(round_trips) == 2
    round_trips.clear()
    assert not list(live.candles("A", hour, 0, 1).candles())
    assert len(round_trips) == 1
