"""Eviction of blocks in parts, looked up beside the steps, only if unchanged."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

import pytest

from functions.candle_aggregate.maintenance import evict
from functions.candle_aggregate.maintenance.evict import Eviction
from functions.candle_aggregate.session import Session
from shared.realtime.keys import Block, Keys
from tests.functions.candle_aggregate.trades import trade, trades
from tests.functions.candle_aggregate.world import RULES, World, finish

T = TypeVar("T")
SHARD = 1
"""The shard of A and B, and of C and H."""


@pytest.fixture
def old(world: World) -> World:
    """A quarter of an hour of A and B, all stored, in a state without eviction."""
    world.restart(replace(RULES, keep_us=3_600_000_000))
    world.ship(trades(0, 1) + trades(0, 1, name="B"))
    world.ship(trades(1, 44) + trades(1, 44, name="B"))
    world.settle()
    assert len(world.live()) == 2 * (15 + 3)
    assert {world.shard_of(name) for name in ("A", "B", "C", "H")} == {SHARD}
    return world


def eviction(world: World) -> Eviction:
    return Eviction(world.postgres, replace(world.rules, keep_us=RULES.keep_us))


def test_a_long_history_leaves_some_blocks_at_a_time(
    old: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A long history is evicted in bounded parts, so that no step waits for more."""
    monkeypatch.setattr(evict, "LEAVE_AT_ONCE", 4)
    monkeypatch.setattr(evict, "EVICT_FOR_S", 60.0)
    runs = []
    run = old.engine.run

    def counted(shard: int, job: Callable[[Session], T]) -> T:
        runs.append(len(old.live()))
        return run(shard, job)

    monkeypatch.setattr(old.engine, "run", counted)
    assert eviction(old).evict(old.engine, SHARD) == 36
    assert runs == [36, 28, 20, 12, 4, 0]  # the last one for trade ids
    assert old.live() == {}
    monkeypatch.undo()
    old.ship([trade(400, 9_000, 999), trade(910, 9_001, 998)])
    finish(old)


def test_names_of_blocks_are_read_once_a_round(old: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A round reads the names of blocks once, however many parts it evicts."""
    monkeypatch.setattr(evict, "LEAVE_AT_ONCE", 2)
    old.engine.run(SHARD, lambda session: session.blocks())
    read = []

    def counted(field: bytes) -> Block:
        read.append(field)
        return of(field)

    of = Block.of
    monkeypatch.setattr(Block, "of", counted)
    assert eviction(old).evict(old.engine, SHARD) == 36
    assert len(read) == 18


def test_a_round_of_eviction_ends_after_a_while_and_the_next_goes_on(
    old: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A round of eviction ends at its time limit, and the next one resumes.

    A history of months held up repairs of all instruments until the last of it had left.
    """
    monkeypatch.setattr(evict, "LEAVE_AT_ONCE", 4)
    monkeypatch.setattr(evict, "EVICT_FOR_S", 0.0)
    some = eviction(old)
    left = [some.evict(old.engine, SHARD) for _ in range(6)]
    assert left == [8, 8, 8, 8, 4, 0]
    assert old.live() == {}


def test_what_changed_since_it_was_looked_up_stays(
    old: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A block that changed since it was looked up is not evicted in that round."""
    run = old.engine.run

    def after_a_tick(shard: int, job: Callable[[Session], T]) -> T:
        old.ship([trade(401, 9_000, 999)])
        return run(shard, job)

    monkeypatch.setattr(old.engine, "run", after_a_tick)
    some = eviction(old)
    assert some.evict(old.engine, SHARD) == 0
    monkeypatch.undo()
    assert len(old.live()) == 36
    finish(old)
    old.step(120)
    assert some.evict(old.engine, SHARD) == 36
    finish(old)


def test_an_instrument_that_joined_a_block_keeps_its_later_ones(
    old: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An instrument that joins another's blocks meanwhile keeps its later ones."""
    old.ship([trade(1_200, 1, 100, name="H")])
    old.settle()
    old.ship([trade(960, 1, 100, name="C"), trade(1_300, 2, 100, name="C")])
    later = {key for key in old.live() if key[0] == "H"}
    assert len(later) == 2
    run = old.engine.run

    def after_it_joined(shard: int, job: Callable[[Session], T]) -> T:
        old.ship([trade(970, 2, 100, name="H")])
        return run(shard, job)

    monkeypatch.setattr(old.engine, "run", after_it_joined)
    assert eviction(old).evict(old.engine, SHARD) == 0
    monkeypatch.undo()
    assert later < old.live().keys()
    finish(old)


def test_nothing_is_read_before_the_next_block_can_be_due(old: World) -> None:
    """No block is read before the next one can be due."""
    old.ship([trade(n, 9_000 + n, 999) for n in range(0, 900, 30)])
    some = eviction(old)
    assert some.evict(old.engine, SHARD) == 0

    def reads() -> int:
        return int(old.client.info("commandstats")["cmdstat_hgetall"]["calls"])

    old.now_us += RULES.keep_us // 2
    before = reads()
    assert some.evict(old.engine, SHARD) == 0
    assert reads() == before
    assert old.client.hlen(Keys(SHARD).blocks) == 18
