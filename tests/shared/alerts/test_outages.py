"""Alerts to destinations that are away, by a clock of the test."""

from __future__ import annotations

import pytest

from shared.alerts.notifications import NotificationError
from shared.alerts.outages import FORGET_S, GRACE_S, Outages
from shared.errors import PermanentError


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def outages(clock: Clock) -> Outages:
    return Outages(clock)


def retried(outages: Outages, *destinations: str) -> bool:
    """Fail an alert; return whether it is delivered again."""
    return not isinstance(outages.failed(destinations, "refused"), PermanentError)


def test_a_short_outage_retries_all(outages: Outages, clock: Clock) -> None:
    """Within two minutes of an outage every alert is retried, then none."""
    assert all(retried(outages, "a") for _ in range(50))
    clock.now += GRACE_S - 1
    assert all(retried(outages, "a") for _ in range(50))
    clock.now += 1
    assert not retried(outages, "a")
    assert retried(outages, "a", "b")  # b's outage is new


def test_outages_of_two_processes_are_their_own(outages: Outages, clock: Clock) -> None:
    """Alerts that one process has given up take nothing in another, which counts its own calls."""
    other = Outages(clock)
    assert retried(outages, "a")
    clock.now += GRACE_S
    assert not retried(outages, "a")
    assert all(retried(other, "a") for _ in range(50))
    clock.now += GRACE_S - 1
    assert not retried(outages, "a")
    with other.call("a"):
        pass
    clock.now += 1
    assert retried(other, "a")


def test_an_accepted_alert_ends_the_outage(outages: Outages, clock: Clock) -> None:
    """After a destination accepted an alert, its next failure begins another outage."""
    retried(outages, "a")
    clock.now += GRACE_S
    with outages.call("a"):
        pass
    assert retried(outages, "a")


def test_a_failure_long_ago_is_forgotten(outages: Outages, clock: Clock) -> None:
    """Failures with three minutes without one between them are two outages."""
    retried(outages, "a")
    clock.now += FORGET_S
    assert retried(outages, "a")


def test_a_destination_that_is_away_has_one_call_at_a_time(outages: Outages, clock: Clock) -> None:
    """In a long outage calls are refused while one runs, until that hangs for long."""
    with outages.call("a"), outages.call("a"):
        retried(outages, "a")
    retried(outages, "a")
    clock.now += GRACE_S
    with outages.call("a"):
        with pytest.raises(NotificationError, match="is away"), outages.call("a"):
            pytest.fail("it was called")
        clock.now += GRACE_S
        with outages.call("a"):
            pass
    with outages.call("a"), outages.call("a"):
        pass
