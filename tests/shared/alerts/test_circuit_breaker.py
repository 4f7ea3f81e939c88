"""Alerts to destinations that are away, by a clock of the test."""

from __future__ import annotations

import contextlib

import pytest

from shared.alerts.circuit_breaker import CONFIRM_S, FORGET_S, GRACE_S, YOUNG_S, CircuitBreakers
from shared.alerts.notifications import NotificationError
from shared.errors import PermanentError


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def breakers(clock: Clock) -> CircuitBreakers:
    return CircuitBreakers(clock)


def is_retried(breakers: CircuitBreakers, *destinations: str) -> bool:
    """Ask about an alert that these destinations did not accept."""
    return not isinstance(breakers.failed(destinations, "refused"), PermanentError)


def retried(breakers: CircuitBreakers, *destinations: str) -> bool:
    """Fail an alert; return whether it is delivered again."""
    for each in destinations:
        with contextlib.suppress(NotificationError), breakers.call(each):
            raise NotificationError("refused")
    return is_retried(breakers, *destinations)


def begin_long(breakers: CircuitBreakers, clock: Clock) -> None:
    """Fail calls of "a" until its outage is long."""
    for wait_s in (GRACE_S, CONFIRM_S, 0):
        retried(breakers, "a")
        clock.now += wait_s


def test_a_short_outage_retries_all(breakers: CircuitBreakers, clock: Clock) -> None:
    """For two minutes, and until two failures after them, every alert is retried, then none."""
    assert all(retried(breakers, "a") for _ in range(50))
    clock.now += GRACE_S - 1
    assert all(retried(breakers, "a") for _ in range(50))
    clock.now += 1
    assert all(retried(breakers, "a") for _ in range(50))
    clock.now += CONFIRM_S
    assert not retried(breakers, "a")
    assert retried(breakers, "a", "b")  # b's outage is new


def test_two_hiccups_are_no_outage(breakers: CircuitBreakers, clock: Clock) -> None:
    """Two failures far apart, after which other replicas had the alerts, give up no alert."""
    assert retried(breakers, "a")
    clock.now += GRACE_S + 30
    assert all(retried(breakers, "a") for _ in range(8))


def test_outages_of_two_processes_are_their_own(breakers: CircuitBreakers, clock: Clock) -> None:
    """Alerts that one process has given up take nothing in another, which counts its own calls."""
    other = CircuitBreakers(clock)
    begin_long(breakers, clock)
    assert not retried(breakers, "a")
    assert all(retried(other, "a") for _ in range(50))
    clock.now += GRACE_S - 1
    assert not retried(breakers, "a")
    with other.call("a"):
        pass
    clock.now += 1
    assert retried(other, "a")


def test_an_accepted_alert_ends_the_outage(breakers: CircuitBreakers, clock: Clock) -> None:
    """After a destination accepted an alert, its next failure begins another outage."""
    begin_long(breakers, clock)
    with breakers.call("a"):
        pass
    assert retried(breakers, "a")


def test_a_late_success_begins_no_outage(breakers: CircuitBreakers, clock: Clock) -> None:
    """A call that succeeds just before its alert counts as failed begins no outage."""
    with breakers.call("a"):
        clock.now += YOUNG_S
    assert is_retried(breakers, "a")
    for wait_s in (GRACE_S, CONFIRM_S):
        clock.now += wait_s
        assert retried(breakers, "a")


def test_a_call_that_hangs_is_an_outage(breakers: CircuitBreakers, clock: Clock) -> None:
    """While a call hangs, the alerts that count as failed begin an outage, and make it long."""
    with breakers.call("a"):
        for wait_s, is_again in ((YOUNG_S, True), (GRACE_S, True), (CONFIRM_S, False)):
            clock.now += wait_s
            assert is_retried(breakers, "a") == is_again


def test_a_failure_long_ago_is_forgotten(breakers: CircuitBreakers, clock: Clock) -> None:
    """Failures with three minutes without one between them are two outages."""
    begin_long(breakers, clock)
    clock.now += FORGET_S
    assert retried(breakers, "a")


def test_a_destination_that_is_away_has_one_call_at_a_time(
    breakers: CircuitBreakers, clock: Clock
) -> None:
    """In a long outage calls are refused while one runs, until that hangs for long.

    An alert that is refused meanwhile is retried while the call may well succeed.
    """
    retried(breakers, "a")
    with breakers.call("a"), breakers.call("a"):
        pass
    begin_long(breakers, clock)
    with breakers.call("a"):
        with pytest.raises(NotificationError, match="is away"), breakers.call("a"):
            pytest.fail("it was called")
        assert is_retried(breakers, "a")
        clock.now += YOUNG_S
        assert not is_retried(breakers, "a")
        clock.now += GRACE_S - YOUNG_S
        with breakers.call("a"):
            pass
    with breakers.call("a"), breakers.call("a"):
        pass


def test_an_old_call_that_ends_lets_no_second_one_begin(
    breakers: CircuitBreakers, clock: Clock
) -> None:
    """A call that hung through the outage and fails leaves the one newer call of it alone."""
    hung = contextlib.ExitStack()
    hung.enter_context(breakers.call("a"))
    clock.now += 1
    begin_long(breakers, clock)
    with breakers.call("a"):
        with contextlib.suppress(NotificationError), hung:
            raise NotificationError("at last")
        with pytest.raises(NotificationError, match="is away"), breakers.call("a"):
            pytest.fail("it was called")
