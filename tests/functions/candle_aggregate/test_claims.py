"""Who builds the live state has claimed it; leftovers of a crash do not stay."""

from __future__ import annotations

import pytest

from functions.candle_aggregate.rebuild import begin
from functions.candle_aggregate.reconcile import reconcile, sweep_markers
from functions.candle_aggregate.store import Step
from shared.errors import TransientError
from tests.functions.candle_aggregate.house import LATER_US, NOW_US, RULES, House, ticks


def step(house: House, text: str) -> Step:
    found = Step()
    found.index("SET", f"{{0}}:note:{text}", text)
    return found


def test_a_builder_that_was_overtaken_writes_nothing(house: House) -> None:
    """Paused for long, its lock gone with its connection: another has claimed, or finished."""
    house.client.flushdb()
    store = house.store
    assert store.claim(7)
    store.build(step(house, "seven"), 7)
    assert store.claim(8)  # the successor
    with pytest.raises(TransientError, match="taken over"):
        store.build(step(house, "late"), 7)
    assert not store.claim(7)
    store.build(step(house, "eight"), 8)
    begin(store, 8)
    for late in (7, 8):
        with pytest.raises(TransientError, match="taken over"):
            store.build(step(house, "late"), late)
    assert not store.claim(9)  # the state is there
    assert store.epoch() == 8
    assert house.client.get("{0}:note:late") is None


def test_markers_that_a_crash_left_are_swept(house: House) -> None:
    """Recorded as aggregated, killed before the marker was let go: a later second does it."""
    house.store_ticks("e1", ticks(0, 10))
    house.apply("e1", ticks(0, 10))
    house.apply("e2", ticks(10, 3))  # not stored: its marker must stay
    house.age(31)
    settle_markers = house.store.settle_markers
    house.store.settle_markers = lambda *_: None  # type: ignore[method-assign]
    reconcile(house.store, house.postgres, RULES, house.epoch, NOW_US)
    house.store.settle_markers = settle_markers  # type: ignore[method-assign]
    assert house.client.ttl("{0}:applied:e1") == -1
    assert sweep_markers(house.store, house.postgres, RULES, LATER_US) == 1
    assert 0 < house.client.ttl("{0}:applied:e1") <= 600
    assert house.client.ttl("{0}:applied:e2") == -1
    assert sweep_markers(house.store, house.postgres, RULES, LATER_US) == 0
