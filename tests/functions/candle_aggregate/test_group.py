"""Events that wait for each other are applied in one step, and each is answered for itself."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest
import redis

from functions.candle_aggregate.apply import TickEvent, apply_events
from functions.candle_aggregate.group import Group
from functions.candle_aggregate.merge import Applied
from functions.candle_aggregate.store import Store
from shared.errors import TransientError
from shared.state import Keys
from tests.functions.candle_aggregate.reference import as_columns
from tests.functions.candle_aggregate.states import begin_state
from tests.functions.candle_aggregate.test_apply import (
    EPOCH,
    NOW_US,
    RULES,
    assert_equals_reference,
    ticks_between,
)


class Gate:
    """Stands before the real step: the first group waits at it until the others have come."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.open = threading.Event()
        self.groups: list[list[str]] = []

    def apply_all(self, events: Sequence[TickEvent]) -> tuple[Applied, list[str]]:
        self.groups.append([event.id for event in events])
        self.open.wait(10)
        return apply_events(self.store, RULES, EPOCH, events, NOW_US)


@pytest.fixture
def gate(valkey: redis.Redis) -> Gate:
    store = Store(valkey, Keys(0))
    begin_state(store, EPOCH)
    return Gate(store)


def test_what_waits_goes_together_and_counts_once(gate: Gate, valkey: redis.Redis) -> None:
    """Eight events meanwhile are one step; a second delivery of one is told that it is one."""
    ticks = ticks_between(0, 90)
    parts = [ticks[i::9] for i in range(9)]
    group = Group(gate.apply_all, max_ticks=1_000)
    with ThreadPoolExecutor(10) as pool:
        first = pool.submit(group.apply, TickEvent("e0", as_columns(parts[0])))
        while not gate.groups:
            pass
        rest = [
            pool.submit(group.apply, TickEvent(f"e{n}", as_columns(parts[n]))) for n in range(1, 9)
        ]
        again = pool.submit(group.apply, TickEvent("e1", as_columns(parts[1])))
        while len(group._waiting) < 9:
            pass
        gate.open.set()
        assert first.result() is not None
        answers = [each.result() for each in rest]
        both = [again.result(), answers[0]]
    assert sorted(gate.groups[1]) == [f"e{n}" for n in range(1, 9)]
    assert gate.groups[2] == ["e1"]
    assert len(gate.groups) == 3
    assert [each is None for each in both].count(True) == 1
    assert all(each is not None for each in answers[1:])
    assert sum(bool(each and each.open) for each in [*answers, again.result()]) == 1
    assert_equals_reference(valkey, ticks)


def test_a_group_is_bounded(gate: Gate) -> None:
    """What does not fit waits for the next turn; a single event that is larger goes alone."""
    gate.open.set()
    group = Group(gate.apply_all, max_ticks=10)
    for n, count in enumerate([25, 4]):
        group.apply(TickEvent(f"e{n}", as_columns(ticks_between(n * 100, count))))
    assert gate.groups == [["e0"], ["e1"]]


def test_a_failure_is_everybodys(gate: Gate, valkey: redis.Redis) -> None:
    """Each event of the group is delivered again, and succeeds then."""
    gate.open.set()
    group = Group(gate.apply_all, max_ticks=1_000)
    valkey.flushdb()
    event = TickEvent("e0", as_columns(ticks_between(0, 5)))
    with pytest.raises(TransientError, match="rebuilt"):
        group.apply(event)
    begin_state(gate.store, EPOCH)
    assert group.apply(event) is not None


def test_a_defect_is_one_events_own(gate: Gate, valkey: redis.Redis) -> None:
    """One event of a group that cannot be applied does not take the others with it."""
    ticks = ticks_between(0, 30)

    def refusing(events: Sequence[TickEvent]) -> tuple[Applied, list[str]]:
        if any(event.id == "bad" for event in events):
            gate.groups.append([event.id for event in events])
            raise ZeroDivisionError("a defect")
        return gate.apply_all(events)

    group = Group(refusing, max_ticks=1_000)
    parts = {"e0": ticks[::3], "bad": ticks_between(100, 3), "e1": ticks[1::3], "e2": ticks[2::3]}
    with ThreadPoolExecutor(4) as pool:
        asked = {"e0": pool.submit(group.apply, TickEvent("e0", as_columns(parts["e0"])))}
        while not gate.groups:
            pass
        for event_id in ("e1", "bad", "e2"):
            event = TickEvent(event_id, as_columns(parts[event_id]))
            asked[event_id] = pool.submit(group.apply, event)
        while len(group._waiting) < 3:
            pass
        gate.open.set()
        with pytest.raises(ZeroDivisionError):
            asked["bad"].result()
        assert all(asked[name].result() is not None for name in ("e0", "e1", "e2"))
    assert sorted(gate.groups[1]) == ["bad", "e1", "e2"]
    assert_equals_reference(valkey, ticks)
