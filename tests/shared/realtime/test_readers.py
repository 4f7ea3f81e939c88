"""Readers of the live state: what they ask Redis for, and how often."""

from __future__ import annotations

from typing import Any

import pytest
import redis
from redis.client import Pipeline

from functions.candle_aggregate.rules import Rules
from shared.market.timeframes import DEFAULT_LADDER, parse_ladder
from shared.realtime import readers
from shared.realtime.readers import LiveState
from tests.functions.candle_aggregate.reference import Tick, as_columns
from tests.functions.candle_aggregate.replicas import Replica
from tests.functions.history_query.market import MINUTE_US, START_US, batches, generated

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
    found = live.all_candles(hour) if everything else live.candles_of(["A"], hour, 0, 10**18)
    assert any(candle.partial for candle in found.candles())
    assert len(round_trips) == 2
    round_trips.clear()
    assert not list(live.candles_of(["A"], hour, 0, 1).candles())
    assert len(round_trips) == 1


@pytest.mark.parametrize("newest", [False, True])
def test_a_few_candles_are_read_of_long_imported_history(
    valkey: redis.Redis, monkeypatch: pytest.MonkeyPatch, *, newest: bool
) -> None:
    """The first or last candles of instruments take a part of the blocks, with an open one.

    One that has no candle in that part is looked for in the others.
    """
    monkeypatch.setattr(readers, "_STARTS", 3)
    replica = Replica(valkey, "a", Rules(LADDER, 2_000_000, 5_000_000, 1_000_000, shards=1))
    minutes = range(0, 60 * MINUTE_US, MINUTE_US)
    of_a = [Tick("A", START_US + at, n, 100 + n, 1, 1) for n, at in enumerate(minutes)]
    of_b = [Tick("B", START_US + 30 * MINUTE_US, 0, 7, 1, 1)]
    replica.apply(e1=as_columns(of_a), e2=as_columns(of_b))
    replica.engine.close()
    live, minute = LiveState(valkey, 1, LADDER), LADDER[0]
    everything = [*live.candles_of(["A", "B"], minute, 0, 10**18).candles()]
    commands, execute = [], Pipeline.execute

    def counted(pipeline: Pipeline, *arguments: Any, **more: Any) -> Any:
        commands.append(len(pipeline.command_stack))
        return execute(pipeline, *arguments, **more)

    monkeypatch.setattr(Pipeline, "execute", counted)
    found = [*live.candles_of(["A"], minute, 0, 10**18, 2, newest=newest).candles()]
    of_a_only = [each for each in everything if each.instrument == "A"]
    assert len(of_a_only) == 60
    assert found == (of_a_only[-3:] if newest else of_a_only[:3])
    assert sum(commands) < 10
    both = live.candles_of(["A", "B"], minute, 0, 10**18, 1, newest=newest).candles()
    assert {each.instrument for each in both} == {"A", "B"}
