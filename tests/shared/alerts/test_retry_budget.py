"""Alerts to destinations that are away, by a clock of the test."""

from __future__ import annotations

import pytest

from shared.alerts.retry_budget import FORGET_S, GRACE_S, MOST_RETRIED, RetryBudget
from shared.errors import PermanentError, TransientError


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def budget(clock: Clock) -> RetryBudget:
    return RetryBudget(clock)


def retried(budget: RetryBudget, numbers: range, *destinations: str) -> list[int]:
    """Fail each alert once; return those that are delivered again."""
    errors = {n: budget.failed(str(n), destinations, "refused") for n in numbers}
    assert all(isinstance(each, TransientError | PermanentError) for each in errors.values())
    return [n for n, error in errors.items() if isinstance(error, TransientError)]


def test_a_short_outage_retries_all(budget: RetryBudget, clock: Clock) -> None:
    """Within two minutes of an outage every alert is retried."""
    assert retried(budget, range(50), "a") == list(range(50))
    clock.now += GRACE_S - 1
    assert retried(budget, range(50), "a") == list(range(50))


def test_a_long_outage_retries_few(budget: RetryBudget, clock: Clock) -> None:
    """In longer outages, of all destinations together, the same few alerts are retried."""
    retried(budget, range(2), "a")
    retried(budget, range(2, 4), "b")
    clock.now += GRACE_S
    few = list(range(MOST_RETRIED))
    assert retried(budget, range(MOST_RETRIED), "a") == few
    assert retried(budget, range(20), "b") == few
    assert retried(budget, range(100, 110), "c") == list(range(100, 110))  # its outage is new


def test_an_alert_that_ends_frees_its_place(budget: RetryBudget, clock: Clock) -> None:
    """An alert that is accepted, or does not fail again, leaves its place to another."""
    retried(budget, range(1), "a", "b")
    clock.now += GRACE_S
    retried(budget, range(MOST_RETRIED), "a")
    budget.accepted("3", ["b"])
    assert retried(budget, range(20, 22), "a") == [20]
    clock.now += FORGET_S - 1
    retried(budget, range(1), "a")
    clock.now += 1
    assert len(retried(budget, range(30, 50), "a")) == MOST_RETRIED - 1


def test_an_accepted_alert_ends_the_outage(budget: RetryBudget, clock: Clock) -> None:
    """After a destination accepted an alert, its next failure begins another outage."""
    retried(budget, range(1), "a")
    clock.now += GRACE_S
    retried(budget, range(MOST_RETRIED), "a")
    budget.accepted("new", ["a"])
    assert retried(budget, range(50, 90), "a") == list(range(50, 90))
