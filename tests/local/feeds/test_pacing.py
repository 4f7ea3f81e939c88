from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local.feeds.pacing import BURST_S, WORTH_SLEEPING_S, EventTimePacer, RateLimiter, speed_factor


class ManualClock:
    """A clock that advances only by sleeps, as inexactly as configured."""

    def __init__(self, oversleeps_s: float = 0.0) -> None:
        self.now = 1000.0
        self.oversleeps_s = oversleeps_s

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        assert seconds > 0
        self.now += seconds + self.oversleeps_s


@pytest.mark.parametrize(
    ("text", "factor"), [("max", math.inf), ("1x", 1.0), ("10x", 10.0), ("0.5x", 0.5), (".5x", 0.5)]
)
def test_a_speed_is_max_or_a_multiple(text: str, factor: float) -> None:
    """Speeds are read as documented: `max` or a multiple."""
    assert speed_factor(text) == factor


@pytest.mark.parametrize("text", ["", "0x", "x", "1", "-1x", "1e3x", "fast", "1x ", "nanx"])
def test_any_other_speed_is_refused_with_examples(text: str) -> None:
    """An invalid speed is refused with valid examples."""
    with pytest.raises(ValueError, match="try max, 1x, 10x"):
        speed_factor(text)


def test_ticks_are_as_far_apart_as_their_times_over_the_factor() -> None:
    """At 10x a tick ten seconds later is due after one second, whenever it is asked for."""
    clock = ManualClock()
    pacer = EventTimePacer(10.0, clock)
    assert pacer.delay_s(5_000) == 0.0
    assert pacer.delay_s(15_000) == pytest.approx(1.0)
    clock.now += 0.4
    assert pacer.delay_s(15_000) == pytest.approx(0.6)
    clock.now += 5.0
    assert pacer.delay_s(15_000) == 0.0


def test_late_and_timeless_ticks_are_due_at_once() -> None:
    """Late ticks and ticks without a time are due at once."""
    pacer = EventTimePacer(1.0, ManualClock())
    pacer.delay_s(5_000)
    assert pacer.delay_s(4_000) == 0.0
    assert pacer.delay_s(None) == 0.0


def test_at_max_speed_no_tick_waits() -> None:
    """At full speed no tick waits for its time."""
    pacer = EventTimePacer(math.inf, ManualClock())
    assert [pacer.delay_s(time_ms) for time_ms in (0, 10**12, 5)] == [0.0, 0.0, 0.0]


@given(
    rate=st.floats(100, 1_000_000),
    sizes=st.lists(st.integers(1, 60), min_size=1, max_size=300),
    oversleeps_s=st.sampled_from([0.0, 0.0001, 0.004, 0.1]),
)
def test_the_rate_limit_holds_with_inexact_sleeps(
    rate: float, sizes: list[int], oversleeps_s: float
) -> None:
    """At any time at most the rate and one small burst were sent, however inexact the sleeps."""
    clock = ManualClock(oversleeps_s)
    limiter = RateLimiter(rate, clock, clock.sleep)
    sent, started = 0, clock.now
    for size in sizes:
        allowed = rate * (clock.now - started + BURST_S + WORTH_SLEEPING_S)
        assert sent <= allowed + 1e-6 * rate
        limiter.spend(size)
        sent += size


def test_a_pause_allows_no_burst() -> None:
    """After a long pause the rate is the same as before."""
    clock = ManualClock()
    limiter = RateLimiter(1_000, clock, clock.sleep)
    clock.now += 3_600
    started = clock.now
    for _ in range(100):
        limiter.spend(10)
    assert clock.now - started >= 1_000 / 1_000 - BURST_S - WORTH_SLEEPING_S


def test_no_limit_never_sleeps() -> None:
    """A limit of 0 never sleeps."""
    clock = ManualClock()
    RateLimiter(0, clock, clock.sleep).spend(10**9)
    assert clock.now == 1000.0
