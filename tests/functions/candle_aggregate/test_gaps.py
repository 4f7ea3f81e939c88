"""Candles that touch a gap: live ones are marked in place, stored ones by repair."""

from __future__ import annotations

from dataclasses import replace

import pytest

from functions.candle_aggregate.corrections.refold import Refold
from shared.adapter.event import Event, OutgoingEvent
from shared.wire import events
from shared.wire.candle import CandleKey
from shared.wire.gaps import Gap, GapState, encode_gaps
from tests.functions.candle_aggregate.trades import BEGIN_US, SECOND, trades
from tests.functions.candle_aggregate.world import MINUTE, World

GAP = Gap("A", "A", 100, 109, BEGIN_US + 70 * SECOND, BEGIN_US + 130 * SECOND)
TOUCHED = {
    ("A", "1m", BEGIN_US + MINUTE),
    ("A", "1m", BEGIN_US + 2 * MINUTE),
    ("A", "5m", BEGIN_US),
}


def tell(world: World, *gaps: Gap) -> None:
    """Let persist store gaps."""
    id_ = "/".join(f"{gap.first_id}-{gap.state}" for gap in gaps)
    out = OutgoingEvent.packed(id_, events.GAP, encode_gaps("x", gaps))
    world.persist(Event(id_, events.GAP, "/test", dict(out.extensions), out.body))


def evaluate(world: World) -> set[tuple[str, str, int]]:
    """Let a second pass; return the stored candles that are incomplete."""
    world.step(1)
    assert world.tick_clock()
    world.deliver_all()
    return {key for key, row in world.stored().items() if not row["complete"]}


def incomplete_live(world: World) -> set[tuple[str, str, int]]:
    return {key for key, candle in world.live().items() if not candle.complete}


def test_live_candles_are_incomplete_while_the_gap_is_open(world: World) -> None:
    """Live candles in an open gap are published as incomplete, and again when it is filled.

    Each time under a higher revision.
    """
    world.ship(trades(0, 20))
    world.ship(trades(20, 20))
    tell(world, GAP)
    assert evaluate(world) == incomplete_live(world) == TOUCHED
    before = world.stored()
    assert evaluate(world) == TOUCHED
    assert world.stored() == before
    tell(world, replace(GAP, state=GapState.FILLED))
    assert evaluate(world) == incomplete_live(world) == set()


def test_only_longer_candles_of_the_gap_are_folded_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of many live candles only those that contain a changed one are folded again."""
    world.ship(trades(0, 20))
    world.ship(trades(20, 20))
    tell(world, GAP)
    folded: set[CandleKey] = set()
    prepare = Refold.prepare

    def noted(refold: Refold, intervals: set[CandleKey]) -> None:
        folded.update(intervals)
        prepare(refold, intervals)

    monkeypatch.setattr(Refold, "prepare", noted)
    assert evaluate(world) == TOUCHED
    assert folded == {("A", "5m", BEGIN_US)}


def test_a_candle_that_begins_in_an_open_gap_is_evaluated_too(world: World) -> None:
    """An open candle within a gap is incomplete and stays so with further ticks."""
    tell(world, GAP)
    assert evaluate(world) == set()
    world.ship(trades(0, 5))
    evaluate(world)
    assert ("A", "1m", BEGIN_US + MINUTE) in incomplete_live(world)
    world.ship(trades(5, 35))
    assert evaluate(world) == TOUCHED


def test_two_gaps_must_both_be_filled(world: World) -> None:
    """A candle in two gaps is complete only when both are filled."""
    world.ship(trades(0, 20))
    world.ship(trades(20, 20))
    other = replace(
        GAP,
        first_id=200,
        last_id=200,
        from_us=BEGIN_US + 80 * SECOND,
        to_us=BEGIN_US + 90 * SECOND,
    )
    tell(world, GAP, other)
    evaluate(world)
    tell(world, replace(GAP, state=GapState.FILLED))
    assert evaluate(world) == TOUCHED - {("A", "1m", BEGIN_US + 2 * MINUTE)}
    tell(world, replace(other, state=GapState.FILLED))
    assert evaluate(world) == set()


def test_candles_that_have_left_the_state_are_repaired(world: World) -> None:
    """Evicted candles in a gap are repaired, and again when it is filled.

    An "open" that comes late changes nothing.
    """
    world.ship(trades(0, 20))
    world.ship(trades(20, 20))
    world.settle()
    assert not TOUCHED & world.live().keys()
    tell(world, GAP)
    world.settle()
    assert evaluate(world) == TOUCHED
    tell(world, replace(GAP, state=GapState.FILLED))
    world.settle()
    assert evaluate(world) == set()
    before = world.stored()
    tell(world, replace(GAP, state=GapState.FILLED), replace(GAP, state=GapState.OPEN))
    world.settle()
    assert world.stored() == before


def test_many_gaps_cost_few_queries_and_none_is_left_behind(world: World) -> None:
    """Three thousand open gaps cost few queries, and the last of them is found."""
    world.ship(trades(0, 20))
    world.ship(trades(20, 20))
    some = [
        replace(GAP, symbol=f"{n:04}", instrument=f"{n:04}", from_us=0, to_us=1)
        for n in range(3_000)
    ]
    for first in range(0, len(some), 500):
        tell(world, *some[first : first + 500])
    tell(world, replace(GAP, symbol="ZZ"))
    assert evaluate(world) == TOUCHED


def test_a_filled_gap_stays_filled_when_redis_goes_back(world: World) -> None:
    """It is evaluated once: the state from before is not taken for the present one."""
    world.ship(trades(0, 20))
    world.ship(trades(20, 20))
    tell(world, GAP)
    assert evaluate(world) == TOUCHED
    dump = world.keyspace()
    tell(world, replace(GAP, state=GapState.FILLED))
    assert evaluate(world) == set()
    world.go_back(dump)
    assert evaluate(world) == incomplete_live(world) == set()
