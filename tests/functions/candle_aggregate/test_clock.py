"""The clock of the machine is set back while candle-aggregate runs."""

from __future__ import annotations

import pytest

from functions.candle_aggregate.handler import Aggregate
from shared.adapter.app import Outcome
from shared.runtime.steady_clock import SteadyClock
from tests.functions.candle_aggregate.trades import BEGIN_US, trades
from tests.functions.candle_aggregate.world import World

HOUR_US = 3_600_000_000


class Clocked:
    """The stage by its handler: the world's clock is the wall clock, and time passes besides."""

    def __init__(self, world: World) -> None:
        self.world, self.passed_us = world, 0
        clock = SteadyClock(lambda: world.now_us * 1000, lambda: self.passed_us * 1000)
        world.engine.clock = world.storage.clock = clock
        self.handler = Aggregate(world.engine, world.storage, clock=lambda: world.now_us)

    def tick(self, seconds: int) -> None:
        """Deliver a clock event so much later."""
        self.world.now_us += seconds * 1_000_000
        self.passed_us += seconds * 1_000_000
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


def test_output_is_sent_again_after_the_clock_was_set_back(clocked: Clocked) -> None:
    """Unconfirmed output is sent again before the former time is reached again."""
    assert not clocked.world.apply(clocked.world.send(trades(0, 12)), cut="before")
    clocked.world.now_us -= HOUR_US
    clocked.tick(12)
    assert ("A", "1m", BEGIN_US) in {key for key, _ in clocked.world.seen}
