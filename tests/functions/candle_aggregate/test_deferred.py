"""A closed candle that changes again within a second is emitted by the clock, once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from functions.candle_aggregate.corrections.repair_queue import BUST
from functions.candle_aggregate.steps.step import Computed
from functions.candle_aggregate.steps.store import Lease
from shared.market.shards import shard_of
from shared.realtime.keys import Keys
from tests.functions.candle_aggregate.trades import BEGIN_US, trade, trades
from tests.functions.candle_aggregate.world import World, finish


def published(world: World) -> list[int]:
    """The trades of each publication of the first minute of A, in order."""
    versions = sorted(
        (revision, candle.trade_count)
        for ((name, timeframe, start_us), revision), candle in world.seen.items()
        if (name, timeframe, start_us) == ("A", "1m", BEGIN_US)
    )
    return [count for _, count in versions]


def begin(world: World) -> None:
    """Publish some minutes of A, the first with three trades."""
    world.ship(trades(0, 1))
    world.ship(trades(1, 11))
    assert published(world) == [3]


def late(world: World, count: int) -> None:
    """Late trades of the first minute, each in an event of its own."""
    for _ in range(count):
        number = len(world.sent)
        assert world.apply(world.send([trade(30 + number / 100, 9_000 + number, 150)]))


def test_corrections_within_a_second_are_published_once(world: World) -> None:
    """The first correction is published at once, those after it by the clock's next tick."""
    begin(world)
    world.step(2)
    late(world, 1)
    assert published(world) == [3, 4]
    late(world, 50)
    assert published(world) == [3, 4]
    assert world.tick_clock()
    assert published(world) == [3, 4, 54]
    world.step(2)
    late(world, 1)
    assert published(world) == [3, 4, 54, 55]
    assert world.tick_clock()
    assert published(world) == [3, 4, 54, 55]
    finish(world)


def test_a_deferred_correction_survives_the_process_that_dies_while_it_emits_it(
    world: World,
) -> None:
    """The state has it before its event is acknowledged, the outbox before it is sent."""
    begin(world)
    late(world, 2)
    assert published(world) == [3]
    world.end_leases()
    world.restart()
    assert not world.tick_clock(cut="before")
    assert published(world) == [3]
    world.step(6)
    assert world.tick_clock()
    assert published(world) == [3, 5]
    finish(world)


def test_a_deferred_correction_survives_the_loss_of_redis(world: World) -> None:
    """Events are not recorded as aggregated before it is stored, and are applied again."""
    begin(world)
    world.deliver_all()
    dump = world.keyspace()
    late(world, 2)
    world.go_back(dump)
    finish(world)
    assert world.stored()["A", "1m", BEGIN_US]["trade_count"] == 5


def test_a_deferred_correction_does_not_outrank_a_withdrawal(world: World) -> None:
    """All trades of a corrected candle are cancelled before the clock emits the correction."""
    begin(world)
    row = trade(30, 9_000, 150)
    world.ship([row])
    assert published(world) == [3]
    for each in (*trades(0, 3), row):
        world.bust(each)
    assert world.sql.execute("SELECT count(*) FROM repairs WHERE reason = %s", (BUST,)).fetchone()
    finish(world)
    assert world.stored()["A", "1m", BEGIN_US]["trade_count"] == 0
    assert not world.client.hlen(Keys(world.shard_of("A")).deferred)


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
