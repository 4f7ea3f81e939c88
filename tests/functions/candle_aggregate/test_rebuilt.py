"""A rebuilt state has what is stored; the replica that rebuilt it is the first to use it."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import psycopg
import pytest

from functions.candle_aggregate.engine import Engine
from functions.candle_aggregate.maintenance.state_check import check
from functions.candle_aggregate.steps.step import Computed
from functions.candle_aggregate.steps.store import Lease, Store
from functions.candle_aggregate.storage import Storage
from shared.adapter.app import Outcome
from shared.market.shards import shard_of
from shared.market.timeframes import parse_ladder
from shared.realtime.keys import Keys
from shared.wire.ticks import VOLUME_ONLY
from tests.functions.candle_aggregate.trades import BEGIN_US, trade, trades
from tests.functions.candle_aggregate.world import RULES, World, finish


def test_a_replica_whose_shard_another_version_writes_too_goes_on(world: World) -> None:
    """A state that was rebuilt is kept for what waits for it, though another version has work too.

    Else each rebuild would serve the other one alone.
    """
    world.ship(trades(0, 10))
    shard, ended = world.shard_of("A"), threading.Event()
    another, head = Store(world.client, "another"), Keys(shard).head

    def write() -> None:
        while not ended.is_set():
            if another.acquire([shard], {}):
                world.client.hset(head, "version", "0123456789abcdef")
                world.client.hincrby(head, "steps", 1)
                another.release([shard])
            else:
                another.wait(0.05)

    with ThreadPoolExecutor(1) as pool:
        writing = pool.submit(write)
        try:
            for first in (10, 20, 30):
                event_id = world.send(trades(first, 10))
                world.persist_ticks(event_id)
                assert world.apply(event_id)
        finally:
            ended.set()
            writing.result()
    finish(world)


def test_a_state_that_was_rebuilt_is_trusted(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The replica that rebuilt a state goes on with it, without a second look into Postgres."""
    made: list[int] = []
    make = Storage.make

    def noted(storage: Storage, engine: Engine, lease: Lease) -> Outcome:
        made.append(lease.shard)
        return make(storage, engine, lease)

    monkeypatch.setattr(Storage, "make", noted)
    world.ship(trades(0, 10))
    world.ship(trades(10, 10))
    assert made == [world.shard_of("A")]
    finish(world)


@pytest.mark.parametrize("is_repeated", [False, True])
def test_ticks_behind_the_last_candle_are_not_forgotten(world: World, is_repeated: bool) -> None:
    """Volume of a minute that had no price yet counts, and its trade ids, after a loss of Redis."""
    world.ship([trade(10, 1, 100), trade(70, 2, 100, flags=VOLUME_ONLY)])
    world.settle()
    world.client.flushdb()
    assert world.tick_clock()
    world.ship([trade(80, 2 if is_repeated else 3, 300), trade(130, 4, 100)])
    finish(world)


@pytest.mark.parametrize("lives", [True, False])
def test_a_repetition_that_counts_may_make_no_price(world: World, lives: bool) -> None:
    """The earlier of two reports of a trade counts; if it makes no price, its candle is withdrawn.

    So is the longer candle of nothing else, and one that is live no more.
    """
    world.ship([trade(10, 1, 100), trade(620, 5, 300), trade(2_000, 9, 100)])
    world.settle()
    if not lives:
        world.step(7_200)
        world.settle()
    world.ship([trade(610, 5, 300, flags=VOLUME_ONLY)])
    finish(world)


@pytest.mark.parametrize("days_before", [0, 30_000])
def test_weeks_that_are_added_begin_on_mondays(world: World, days_before: int) -> None:
    """Weeks added to the timeframes begin on Mondays; days before 1970 where the day begins."""
    world.restart(replace(RULES, ladder=parse_ladder("1h")))
    first = -days_before * 86_400
    world.ship([trade(first - n * 43_200, 100 + n, 100 + n) for n in range(50, 30, -1)])
    world.settle()
    world.restart(replace(RULES, ladder=parse_ladder("1h,1d,1w")))
    finish(world)


def test_redis_may_go_back_to_a_state_of_other_shards_under_a_lease(world: World) -> None:
    """A step that reads the instruments of other shards there is not written, and ends nothing."""
    names = [f"N{n}" for n in range(8)]
    world.restart(replace(world.rules, shards=1))
    world.ship([row for name in names for row in trades(0, 1, name=name)])
    world.ship([row for name in names for row in trades(1, 6, name=name)])
    for name in names:
        world.ship([trade(31, 9_000, 150, name=name)])
        world.ship([trade(32, 9_001, 150, name=name)])
    dumps = [world.keyspace()]
    world.restart(replace(world.rules, shards=3))
    same = [name for name in names if not shard_of(name, 3)]
    world.ship([trade(125, 9_002, 150, name=name) for name in same])
    world.step(10)
    steps = world.engine.steps

    def close_quiet(leases: Mapping[int, Lease], now_us: int) -> Computed:
        if dumps:
            world.go_back(dumps.pop())
        return steps.close_quiet(leases, now_us, now_us, now_us)

    world.engine.step([0], close_quiet)
    finish(world)


def test_no_partition_is_dropped_from_the_first_reading_of_a_rebuild_on(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A rebuild, whose readings have one snapshot, holds the partitions before it is taken."""
    world.ship(trades(0, 10))
    world.settle()
    world.client.flushdb()
    refused: list[Exception] = []

    def dropping(*arguments: Any) -> None:
        check(*arguments)
        with world.postgres.connection() as another:
            another.execute("SET LOCAL lock_timeout = '200ms'")
            try:
                another.execute("LOCK TABLE ONLY tick_segments IN ACCESS EXCLUSIVE MODE")
            except psycopg.errors.LockNotAvailable as error:
                refused.append(error)
                another.rollback()

    monkeypatch.setattr("functions.candle_aggregate.maintenance.rebuild.check", dropping)
    world.tick_clock()
    world.ship(trades(10, 10))
    assert refused
    finish(world)


def test_a_candle_that_was_stored_before_its_ticks_counts_once(world: World) -> None:
    """The event is still to come; what is folded again meanwhile does not have it twice then."""
    world.ship([*trades(0, 3), *trades(9, 3)])
    late = world.send(trades(4, 2))
    world.apply(late)
    world.deliver_all()
    world.client.flushdb()
    world.ship(trades(12, 1))
    world.sql.execute(
        "INSERT INTO repairs (instrument, timeframe, start_us, event_id, reason)"
        " VALUES ('A', '5m', %s, '', 'asked')",
        (BEGIN_US,),
    )
    world.step(60)
    world.tick_clock()
    world.deliver_all()
    world.apply(late)
    finish(world)
