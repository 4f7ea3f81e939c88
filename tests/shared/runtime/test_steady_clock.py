"""The clock of one process."""

from __future__ import annotations

from types import SimpleNamespace

from shared.runtime.steady_clock import SteadyClock


def test_a_clock_that_was_set_back_goes_on_at_half_the_rate() -> None:
    """Time goes on at half the rate after the wall clock was set back, until that has caught up."""
    now = SimpleNamespace(wall_ns=1_000_000, monotonic_ns=0)
    clock = SteadyClock(lambda: now.wall_ns, lambda: now.monotonic_ns)

    def after(wall_us: int, elapsed_us: int) -> int:
        now.wall_ns += wall_us * 1000
        now.monotonic_ns += elapsed_us * 1000
        return clock()

    assert clock() == 1_000
    assert after(50, 50) == 1_050
    assert after(-400, 0) == 1_050
    assert after(200, 200) == 1_150
    assert after(600, 600) == 1_450
    assert after(100, 100) == 1_550
    assert after(5_000, 10) == 6_550
