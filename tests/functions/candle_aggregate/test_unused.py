"""Unused instruments leave the state and come back as if they had stayed."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Final

import pytest

from functions.candle_aggregate.maintenance.idle_instruments import move_unused, saved_records
from shared.errors import TransientError
from shared.realtime.keys import Keys
from tests.functions.candle_aggregate.trades import BEGIN_US, trade, trades
from tests.functions.candle_aggregate.world import MINUTE, RULES, World, finish
from tests.local.broker.processes import eventually

TERM_US = 3_600_000_000
WAITS_FOR_LOCK: Final = """
    SELECT FROM pg_locks WHERE relation = 'unused_instruments'::regclass AND NOT granted
"""


@pytest.fixture
def aged(world: World) -> World:
    """A quarter of an hour of A and B, all stored, with a retention of an hour."""
    world.restart(replace(RULES, unused_us=TERM_US))
    world.ship(trades(0, 45) + trades(0, 45, name="B"))
    world.settle()
    assert world.live() == {}
    return world


def names(world: World) -> set[str]:
    """The instruments with a record."""
    keys = [Keys(shard).instruments for shard in range(world.rules.shards)]
    return {name.decode() for found in world.store.read_whole(keys) for name in found}


def let_go(world: World) -> int:
    return move_unused(world.context)


def test_unused_instruments_leave_by_term(aged: World) -> None:
    """An unused instrument leaves after its retention, and one that traded stays."""
    assert let_go(aged) == 0
    aged.step(2_000)
    aged.ship(trades(60, 3, name="B"))
    aged.settle()
    aged.step(1_700)
    assert let_go(aged) == 1
    assert names(aged) == {"B"}
    aged.step(3_600)
    assert let_go(aged) == 1
    assert names(aged) == set()


def test_an_old_tick_of_one_that_left_opens_no_candle_over_a_stored_one(aged: World) -> None:
    """An old tick of an instrument that left is late, and repaired from storage."""
    aged.step(7_200)
    assert let_go(aged) == 2
    before = aged.stored()
    aged.ship([trade(5, 9_000, 999)])
    assert aged.live() == {}
    aged.settle()
    aged.assert_right()
    assert aged.stored()["A", "1m", BEGIN_US]["trade_count"] == 4
    assert aged.stored()["A", "1m", BEGIN_US]["revision"] > before["A", "1m", BEGIN_US]["revision"]


def test_a_repeated_trade_of_one_that_left_counts_once(aged: World) -> None:
    """A repeated trade of an instrument that left counts once, by storage."""
    aged.step(7_200)
    assert let_go(aged) == 2
    aged.ship(trades(0, 45))
    aged.settle()
    aged.assert_right()


def test_one_that_comes_back_begins_live_and_is_not_partial(aged: World) -> None:
    """An instrument that comes back is live, not partial, and others keep their numbers."""
    aged.step(7_200)
    assert let_go(aged) == 2
    back = [trade(20 * 60 + n * 20 + 7, 100 + n, 200 + n) for n in range(6)]
    other = [trade(20 * 60 + n * 20 + 7, 100 + n, 300 + n, name="B") for n in range(6)]
    aged.ship(back + other)
    start_us = BEGIN_US + 20 * MINUTE
    assert not aged.live()["A", "1m", start_us].partial
    aged.ship(back + other)
    aged.settle()
    aged.assert_right()
    assert aged.stored()["A", "1m", start_us]["trade_count"] == 3


def test_one_with_a_live_candle_stays(world: World) -> None:
    """An instrument with a candle that is not stored stays."""
    world.restart(replace(RULES, unused_us=TERM_US))
    world.ship(trades(0, 10))
    world.step(7_200)
    assert let_go(world) == 0
    world.step(3_700)
    world.settle()
    assert names(world) == set()
    world.assert_right()


def test_who_asks_waits_for_no_term(world: World) -> None:
    """`kandle forget` removes an instrument as soon as its candles are evicted."""
    world.ship(trades(0, 3) + trades(0, 3, name="B"))
    world.ship(trades(3, 42) + trades(3, 42, name="B"))
    ask = "INSERT INTO unused_instruments (instrument, requested_at) VALUES ('A', to_timestamp(%s))"
    world.sql.execute(ask, ((world.now_us + 1) / 1e6,))
    assert let_go(world) == 0
    world.settle()
    assert names(world) == {"B"}
    asked = world.sql.execute("SELECT requested_at FROM unused_instruments").fetchall()
    assert asked == [(None,)]
    world.assert_right()


def test_a_record_that_was_copied_and_not_deleted_stays(aged: World) -> None:
    """A record whose process died between its copy and its deletion stays."""
    aged.step(7_200)
    aged.store.writes_left = 0
    with pytest.raises(TransientError):
        let_go(aged)
    aged.store.writes_left = None
    assert saved_records(aged.postgres, ["A", "B"])
    assert names(aged) == {"A", "B"}
    aged.ship(trades(60, 3) + trades(60, 3, name="B"))
    aged.settle()
    aged.assert_right()


def test_steps_do_not_wait_for_records_to_be_saved(aged: World) -> None:
    """Steps go on while Postgres takes long to save the records that leave.

    One that is used meanwhile stays.
    """
    aged.step(7_200)
    with ThreadPoolExecutor(1) as pool, aged.postgres.connection() as connection:
        connection.execute("LOCK TABLE unused_instruments IN SHARE MODE")
        moving = pool.submit(let_go, aged)
        eventually(lambda: aged.sql.execute(WAITS_FOR_LOCK).fetchone() is not None)
        aged.ship(trades(60, 3, name="B"))
        assert not moving.done()
        connection.commit()
        assert moving.result(30) == 1
    assert names(aged) == {"B"}
    finish(aged)


def test_a_request_is_answered_once_its_record_has_left(world: World) -> None:
    """A request is answered when its record leaves, though another shard is not reached."""
    first, last = sorted(("A", "D"), key=world.shard_of)
    assert world.shard_of(first) < world.shard_of(last)
    world.ship(trades(0, 45, name=first) + trades(0, 45, name=last))
    world.settle()
    ask = "INSERT INTO unused_instruments (instrument, requested_at)"
    for name in (first, last):
        world.sql.execute(f"{ask} VALUES (%s, to_timestamp(%s))", (name, world.now_us / 1e6 + 1))
    world.store.writes_left = 1
    with pytest.raises(TransientError):
        let_go(world)
    world.store.writes_left = None
    asked = "SELECT instrument FROM unused_instruments WHERE requested_at IS NOT NULL"
    assert names(world) == {last}
    assert world.sql.execute(asked).fetchall() == [(last,)]
    finish(world)
