"""Revisions: no two contents of a candle share one, and what is newer outranks what is older."""

from __future__ import annotations

import pytest

from shared.wire.gaps import Gap
from tests.functions.candle_aggregate.test_gaps import tell
from tests.functions.candle_aggregate.trades import BEGIN_US, trade, trades
from tests.functions.candle_aggregate.world import MINUTE, NOW_US, World, finish


def test_a_candle_published_before_redis_went_back_is_outranked(world: World) -> None:
    """After Redis went back no published revision is used for another content."""
    world.ship(trades(0, 40))
    world.tick_clock()
    dump = world.keyspace()
    first = world.send([trade(785, 9_000, 999)])  # corrects a closed, live candle
    assert world.apply(first)
    world.go_back(dump)
    second = world.send([trade(786, 9_001, 1)])
    assert world.apply(second)
    finish(world)
    assert world.stored()["A", "1m", BEGIN_US + 13 * MINUTE]["low"] * 100 == 1


def test_no_revision_is_used_twice_where_the_clock_goes_back_and_redis_is_lost(
    world: World,
) -> None:
    """A state that is rebuilt outranks the lost one, whose clock had been ahead."""
    first, second = world.send(trades(0, 3)), world.send(trades(9, 3))
    assert world.apply(first)
    assert world.apply(second)
    assert world.apply(world.send([trade(5, 9_000, 999)]))
    world.deliver_all()
    world.step(-40)
    assert world.apply(world.send([trade(6, 9_001, 1)]))  # emitted, and still on its way
    world.client.flushdb()
    world.persist_ticks(first)
    world.persist_ticks(second)
    assert world.tick_clock()
    finish(world)
    assert world.stored()["A", "1m", BEGIN_US]["trade_count"] == 5


def test_a_state_made_later_outranks_revisions_that_were_ahead_of_the_clock(world: World) -> None:
    """One that the clock's work published, that is on its way, and was lost from Redis."""
    world.ship(trades(0, 10))
    world.tick_clock()
    world.step(10)
    world.ship([trade(5, 9_000, 999)])
    world.deliver_all()
    world.step(-40)
    world.restart()
    tell(world, Gap("A", "A", 1, 1, BEGIN_US, BEGIN_US + 30_000_000))
    published = len(world.seen)
    world.tick_clock()
    assert len(world.seen) > published
    world.client.flushdb()
    world.persist_ticks(world.send([trade(6, 9_001, 998)]))
    world.tick_clock()
    finish(world)
    assert not world.stored()["A", "1m", BEGIN_US]["complete"]


@pytest.mark.parametrize("later_s", [0, 3_601])
def test_an_event_of_a_former_clock_counts_once_in_a_state_made_after(
    world: World, later_s: int
) -> None:
    """It comes again: while its receipt is still to come, and when the clock is there again.

    It was recorded, and a tick that came late for its candle was not: so its ticks were read.
    """
    recorded = world.ship([trade(second, None, 100, sequence=second) for second in range(1, 9)])
    world.ship(trades(9, 1))
    world.step(60)
    for _ in range(2):  # closed, then recorded
        assert world.tick_clock()
        world.deliver_all()
    assert recorded not in world.not_aggregated(world.shard_of("A"))
    world.ship([trade(9, None, 200)])
    world.step(-3_600)
    world.client.flushdb()
    world.ship(trades(10, 1))
    world.step(later_s)
    assert world.apply(recorded)
    assert world.live()["A", "1m", BEGIN_US].trade_count == 9
    finish(world)


def test_postgres_is_not_asked_about_what_came_after_a_state_was_made(world: World) -> None:
    """Neither where the clock had been set back before: such events are applied without it."""
    world.ship(trades(0, 3))
    world.step(-3_600)
    world.client.flushdb()
    late_us = world.now_us - NOW_US
    world.ship([trade(60, None, 100, received=late_us)])
    world.postgres.close()
    row = trade(61, None, 100, received=world.now_us - NOW_US)
    assert world.apply(world.send([row]))


def test_what_a_step_changes_outranks_all_before_it_also_where_the_clock_goes_back(
    world: World,
) -> None:
    """A new minute, and the fold that it is part of, outrank those from before the clock's step."""
    assert world.apply(world.send([*trades(0, 3), *trades(6, 1)]))
    before = max(candle.revision for candle in world.live().values())
    world.step(-40)
    assert world.apply(world.send(trades(9, 1)))
    start_us = BEGIN_US + 3 * MINUTE
    assert world.live()["A", "1m", start_us].revision > before


def test_a_new_process_outranks_the_revisions_of_a_clock_that_was_set_back(world: World) -> None:
    """A revision of a clock that was ahead is outranked once Redis and the process are lost."""
    first, second = world.send(trades(0, 3)), world.send(trades(9, 3))
    assert world.apply(first)
    world.step(8)
    assert world.apply(second)
    assert world.apply(world.send([trade(5, 9_000, 999)]))
    world.step(-3_600)
    world.now_us -= world.now_us % 10_000_000  # a second at which the clock reconciles
    assert world.apply(world.send([trade(6, 9_001, 1)]))  # emitted, and still on its way
    assert world.tick_clock()
    world.client.flushdb()
    world.restart()
    world.persist_ticks(first)
    world.persist_ticks(second)
    assert world.tick_clock()
    assert world.apply(world.send([trade(7, 9_002, 2)]))
    finish(world)
    assert world.stored()["A", "1m", BEGIN_US]["trade_count"] == 6
