"""Trades that are cancelled, corrected or volume-only, wherever their candle is."""

from __future__ import annotations

from dataclasses import replace

import pytest

from functions.candle_aggregate.corrections.repair import repair
from shared.market.timeframes import parse_ladder
from shared.realtime.readers import LiveState
from shared.wire.ticks import VOLUME_ONLY
from tests.functions.candle_aggregate.trades import BEGIN_US, trade, trades
from tests.functions.candle_aggregate.world import MINUTE, World, finish, sampled

AT = ["live", "late"]


@pytest.mark.parametrize("late", [False, True], ids=["live", "late"])
def test_a_volume_only_trade_counts_for_volume_and_moves_no_price(world: World, late: bool) -> None:
    """A volume-only trade adds volume and changes no price, live or after eviction."""
    world.ship(trades(0, 20))
    extremes = [
        trade(0, 9_000, 999, flags=VOLUME_ONLY),
        trade(30, 9_001, 1, flags=VOLUME_ONLY),
        trade(59, 9_002, 500, flags=VOLUME_ONLY),
    ]
    if late:
        world.ship(trades(20, 20))
        world.settle()
    world.ship(extremes)
    finish(world)
    candle = world.stored()["A", "1m", BEGIN_US]
    assert (candle["high"] * 100, candle["low"] * 100) == (102, 100)
    assert candle["trade_count"] == 6
    assert sampled(world) == set()


@pytest.mark.parametrize("lost", [False, True], ids=["live", "lost"])
def test_a_minute_of_volume_only_trades_is_no_candle_until_a_trade_makes_a_price(
    world: World, lost: bool
) -> None:
    """A minute of volume-only trades is a candle only once another trade has a price.

    It does not count for longer candles either; a late trade completes it, live and from storage.
    """
    world.ship(trades(0, 3))
    world.ship([trade(70, 9_000, 999, flags=VOLUME_ONLY)])
    five = parse_ladder("5m")[0]
    state = LiveState.of(world.client, world.rules.shards)
    (open_one,) = state.candles_of(["A"], five, BEGIN_US, BEGIN_US + 5 * MINUTE).candles()
    assert (open_one.trade_count, int(open_one.volume * 1_000)) == (3, 6)
    world.ship([trade(130, 9_001, 100)])
    world.ship(trades(10, 6))
    world.tick_clock()
    world.deliver_all()
    assert ("A", "1m", BEGIN_US + MINUTE) not in world.stored()
    assert ("A", "1m", BEGIN_US + MINUTE) not in world.live()
    world.ship([trade(75, 9_002, 300)])
    if lost:
        world.client.flushdb()
    finish(world)
    assert world.stored()["A", "1m", BEGIN_US + MINUTE]["trade_count"] == 2
    assert world.stored()["A", "5m", BEGIN_US]["trade_count"] == 11


def three_minutes(world: World, at: str) -> None:
    """Minutes 0 to 12 of A, live or evicted."""
    world.ship(trades(0, 40))
    if at == "late":
        world.settle()


@pytest.mark.parametrize("at", AT)
def test_a_cancelled_trade_leaves_its_candles(world: World, at: str) -> None:
    """A cancelled trade leaves its candles under a higher revision.

    Also when it is sent again, and when the state is lost.
    """
    three_minutes(world, at)
    wrong = trade(10 if at == "late" else 610, 9_000, 99_999)
    world.ship([wrong])
    world.ship(trades(43, 8))
    world.settle()
    before = world.stored()
    world.bust(wrong)
    finish(world)
    start = wrong.time_us // MINUTE * MINUTE
    after = world.stored()
    for key in (("A", "1m", start), ("A", "5m", start // (5 * MINUTE) * 5 * MINUTE)):
        assert before[key]["high"] * 100 == 99_999
        assert after[key]["high"] * 100 < 200
        assert after[key]["revision"] > before[key]["revision"]
    world.ship([wrong])
    world.bust(wrong)
    finish(world)
    world.client.flushdb()
    world.ship([wrong])
    finish(world)
    assert sampled(world) == set()


@pytest.mark.parametrize("at", AT)
def test_a_corrected_trade_counts_as_it_was_corrected(world: World, at: str) -> None:
    """A trade counts by its last bust: correction, correction, cancel, correction."""
    three_minutes(world, at)
    wrong = trade(5 if at == "late" else 785, 9_000, 99_999)
    world.ship([wrong])
    for price, size in (("2.5", "0.01"), ("3", ""), ("", ""), ("1.01", "7")):
        world.bust(wrong, price=price, size=size)
        finish(world)
    candle = world.stored()["A", "1m", wrong.time_us // MINUTE * MINUTE]
    assert candle["volume"] > 7


def test_a_withdrawn_candle_is_not_repaired_for_its_flag(world: World) -> None:
    """A withdrawn candle with nothing to fold is not repaired for its partial flag."""
    first = trade(400, 9_000, 500)
    world.ship([first, trade(1_000, 9_001, 100)])
    world.settle()
    world.bust(first)
    finish(world)
    assert world.stored()["A", "5m", BEGIN_US + 5 * MINUTE]["trade_count"] == 0
    world.ship([trade(60, 8_999, 100)])
    finish(world)


@pytest.mark.parametrize("at", AT)
def test_a_candle_of_cancelled_trades_alone_is_withdrawn_and_may_come_back(
    world: World, at: str
) -> None:
    """A candle whose trades are all cancelled is withdrawn, and returns with a new trade.

    The longer ones without another trade are withdrawn too.
    """
    alone = trade(400, 9_000, 500)
    world.ship([*trades(0, 3), alone, trade(1_000, 9_002, 100)])
    if at == "late":
        world.settle()
    world.ship([trade(1_100, 9_001, 100)])
    world.settle()
    world.bust(alone)
    finish(world)
    for timeframe, start_us in (("1m", BEGIN_US + 6 * MINUTE), ("5m", BEGIN_US + 5 * MINUTE)):
        row = world.stored()["A", timeframe, start_us]
        assert (row["trade_count"], row["volume"], row["close"] * 100) == (0, 0, 102)
    assert sampled(world) == set()
    world.ship([trade(401, 9_003, 300)])
    finish(world)
    assert world.stored()["A", "1m", BEGIN_US + 6 * MINUTE]["trade_count"] == 1


def test_a_cancel_leaves_the_longer_candle_whose_only_other_minute_is_open(world: World) -> None:
    """A cancel of a closed minute's only trade leaves the longer candle, beside an open minute."""
    alone = trade(400, 9_000, 500)
    world.ship(trades(0, 3))
    world.ship([alone, trade(500, 9_002, 100)])
    assert not world.live()["A", "1m", BEGIN_US + 8 * MINUTE].closed
    world.bust(alone)
    assert world.deliver(lambda: repair(world.context))
    finish(world)
    assert world.stored()["A", "5m", BEGIN_US + 5 * MINUTE]["trade_count"] == 1


def test_a_cancel_before_its_trade_waits_for_it(world: World) -> None:
    """A cancel that arrives before its trade waits for it.

    Without a time the last trade of that id is meant.
    """
    wrong = trade(10, "x-1", 99_999)
    world.bust(wrong, said=False)
    world.busts[-1] = replace(world.busts[-1], event_time_us=wrong.time_us)
    world.ship([wrong])
    world.ship(trades(0, 40))
    world.sql.execute("UPDATE pending_busts SET next_at = now()")
    world.persist.busts.retry()
    finish(world)
    assert world.stored()["A", "1m", BEGIN_US]["high"] * 100 < 200


def test_a_cancel_whose_trade_does_not_come_is_a_reject(world: World) -> None:
    """A cancel whose trade never comes is a reject with its bytes and what to check."""
    world.ship(trades(0, 3))
    event_id = world.bust(trade(10, 4_711, 1))
    for _ in range(11):
        world.step(1)
        world.persist.busts.retry()
    rows = world.sql.execute("SELECT event_id, code, detail, original FROM rejects").fetchall()
    ((found, code, detail, original),) = rows
    assert (found, code, original) == (event_id, "unknown_trade", b"a bust")
    assert "4711" in detail
    assert "venue" in detail
    finish(world)


@pytest.mark.parametrize("alone", [False, True])
def test_a_trade_that_is_cancelled_before_it_is_applied_does_not_count(
    world: World, alone: bool
) -> None:
    """A trade cancelled before it is applied counts only until the repair."""
    world.ship([trade(0, None, 100)])
    wrong = trade(1_500, 6, 5)._replace(size=0)
    event_id = world.send([wrong] if alone else [wrong, trade(1_501, 7, 6)])
    world.persist_ticks(event_id)
    world.bust(wrong)
    world.tick_clock()
    assert world.apply(event_id)
    finish(world)
    assert sampled(world) == set()


def test_a_cancel_outlives_a_redis_that_goes_back(world: World) -> None:
    """The state before it is made anew: events applied to it again would bring the trade back."""
    rows = [trade(60, "y", 600), trade(240, 1, 800)]
    assert world.tick_clock()  # there is a state before there is a tick
    event_id = world.send(rows)
    world.persist_ticks(event_id)
    world.bust(rows[0])
    dump = world.keyspace()
    assert world.apply(event_id)
    for _ in range(3):  # it closes, is repaired, and nothing else is recorded: see Storage
        world.step(2)
        assert world.tick_clock()
    world.go_back(dump)
    finish(world)
