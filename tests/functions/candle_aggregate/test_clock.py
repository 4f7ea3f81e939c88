"""The clock of the machine is set back while candle-aggregate runs."""

from __future__ import annotations

import pytest

from functions.candle_aggregate.corrections.repair_queue import ready_rows
from functions.candle_aggregate.handler import Aggregate
from shared.adapter.app import Outcome
from shared.stores.applied import mark_aggregated
from tests.functions.candle_aggregate.trades import BEGIN_US, trades
from tests.functions.candle_aggregate.world import World, finish

HOUR_US = 3_600_000_000


class Clocked:
    """The stage by its handler, whose clock is the world's."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.handler = Aggregate(world.engine, world.storage, clock=lambda: world.now_us)

    def tick(self, seconds: int) -> None:
        """Deliver a clock event so much later."""
        self.world.now_us += seconds * 1_000_000
        outcome = self.handler.tick_clock()
        self._emit(outcome)
        if outcome.after_emit is not None and (after := outcome.after_emit()) is not None:
            self._emit(after)
        self.world.deliver_all()

    def _emit(self, outcome: Outcome) -> None:
        for emission in outcome.shared:
            self.world.take(emission.emit)
            if emission.after_emit is not None:
                emission.after_emit()


@pytest.fixture
def clocked(world: World) -> Clocked:
    return Clocked(world)


def test_candles_leave_the_state_after_the_clock_was_set_back(clocked: Clocked) -> None:
    """Stored candles leave the live state before the former time is reached again."""
    world = clocked.world
    world.ship(trades(0, 12))
    clocked.tick(0)
    assert world.live()
    world.now_us -= HOUR_US
    for _ in range(10):
        clocked.tick(60)
    assert world.live() == {}


def test_an_event_recorded_before_the_clock_was_set_back_holds_no_candle(clocked: Clocked) -> None:
    """A process was cut off when Postgres had recorded its event, and Redis had not."""
    world = clocked.world
    event_id = world.ship(trades(0, 12))
    with world.postgres.connection() as connection:
        mark_aggregated(connection, world.shard_of("A"), [event_id])
    world.now_us -= HOUR_US
    for _ in range(12):
        clocked.tick(60)
    assert world.live() == {}


def test_output_is_sent_again_after_the_clock_was_set_back(clocked: Clocked) -> None:
    """Unconfirmed output is sent again before the former time is reached again."""
    assert not clocked.world.apply(clocked.world.send(trades(0, 12)), cut="before")
    clocked.world.now_us -= HOUR_US
    clocked.tick(12)
    assert ("A", "1m", BEGIN_US) in {key for key, _ in clocked.world.seen}


def test_quiet_candles_close_after_the_clock_was_set_back(clocked: Clocked) -> None:
    """An instrument that traded before the clock was set back is idle, and one that trades is not.

    Both candles ended before.
    """
    world = clocked.world
    world.ship(trades(0, 2) + trades(0, 2, name="B"))
    world.now_us -= HOUR_US
    world.ship(trades(2, 1))
    clocked.tick(1)
    closed = {name: each.closed for (name, *_), each in world.live().items()}
    assert closed == {"A": False, "B": True}
    clocked.tick(6)
    assert ("A", "1m", BEGIN_US) in {key for key, _ in world.seen}
    finish(world)


def test_events_on_their_way_have_their_grace_after_the_clock_was_set_back(
    clocked: Clocked,
) -> None:
    """An event that was stored just now is not read from storage while it is on its way."""
    world = clocked.world
    world.ship(trades(0, 2))
    world.now_us -= HOUR_US
    world.now_us -= world.now_us % 10_000_000  # a second at which the clock reconciles
    on_its_way = world.send(trades(2, 1))
    world.persist_ticks(on_its_way)
    clocked.tick(10)
    assert world.live()["A", "1m", BEGIN_US].trade_count == 2
    clocked.tick(60)
    assert world.live()["A", "1m", BEGIN_US].trade_count == 3
    finish(world)


def test_a_repair_from_before_the_clock_was_set_back_is_done(world: World) -> None:
    """A repair that was requested an hour ahead of the clock does not wait for that hour."""
    world.ship(trades(0, 10))
    world.settle()
    world.sql.execute(
        "INSERT INTO repairs (instrument, timeframe, start_us, event_id, reason, requested_at)"
        " VALUES ('A', '1m', %s, 'asked 1', 'asked', now() + interval '1 hour')",
        (BEGIN_US,),
    )
    with world.postgres.connection() as connection:
        assert [row.start_us for row in ready_rows(connection, world.rules)] == [BEGIN_US]
    finish(world)
