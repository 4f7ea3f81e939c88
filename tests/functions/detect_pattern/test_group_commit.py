"""Group commit: concurrent threads share a step, and an error reaches only its event."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import redis

from functions.detect_pattern.group_commit import Candles, GroupCommit
from functions.detect_pattern.series import Series
from functions.detect_pattern.window import Window
from shared.errors import TransientError
from tests.functions.detect_pattern.house import RULES, House, candle, reference


def test_concurrent_events_of_one_series_are_told_as_one_by_one(
    valkey: redis.Redis, database: str
) -> None:
    """Sixteen threads with one series give the patterns of one by one, without a conflict."""
    house = House(valkey, database)
    house.tick()
    candles = [candle(n, 100 + n * 7 % 11) for n in range(64)]
    with ThreadPoolExecutor(16) as pool:
        outcomes = list(pool.map(lambda n: house.receive(candles[n::16]), range(16)))
        list(pool.map(house.deliver, outcomes))
    house.settle()
    assert house.heard() == house.stored() == reference(candles, RULES)
    house.postgres.close()


def test_those_who_wait_are_one_step() -> None:
    """Events that wait during a step are applied together by one thread."""
    group, begun, go_on = GroupCommit(), threading.Event(), threading.Event()
    steps: list[int] = []

    def step(candles: Candles) -> list[Series]:
        steps.append(sum(len(window) for window in candles.values()))
        begun.set()
        assert go_on.wait(30)
        return [Series("A", "1m", 0)]

    with ThreadPoolExecutor(9) as pool:
        futures = [pool.submit(group.take, _one(0), step)]
        assert begun.wait(30)
        futures += [pool.submit(group.take, _one(n), step) for n in range(1, 9)]
        while group.waiting < 8:
            pass
        go_on.set()
        counts = [len(each.result()) for each in futures]
    assert steps == [1, 8]
    assert sum(counts) == 2


@pytest.mark.parametrize("error", [TransientError("away"), ZeroDivisionError()])
def test_an_error_reaches_whom_it_concerns(error: Exception) -> None:
    """A store's error is raised for all events of a step, a defect for its own event only."""
    group, begun, go_on = GroupCommit(), threading.Event(), threading.Event()

    def step(candles: Candles) -> list[Series]:
        starts = [start for window in candles.values() for start in window.starts.tolist()]
        if not begun.is_set():
            begun.set()
            assert go_on.wait(30)
        elif min(starts) <= 60_000_000 <= max(starts):
            raise error
        return []

    with ThreadPoolExecutor(5) as pool:
        futures = [pool.submit(group.take, _one(0), step)]
        assert begun.wait(30)
        futures += [pool.submit(group.take, _one(n), step) for n in range(1, 5)]
        while group.waiting < 4:
            pass
        go_on.set()
        failed = [isinstance(each.exception(), type(error)) for each in futures]
    if isinstance(error, TransientError):
        assert failed == [False, True, True, True, True]
    else:
        assert failed == [False, True, False, False, False]


def _one(minute: int) -> Candles:
    return {("A", "1m"): Window.of([candle(minute, 100)])}
