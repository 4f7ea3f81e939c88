"""Backoff between attempts: back within three seconds, or as late as the exchange asks for."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.datastructures import Headers
from websockets.exceptions import InvalidStatus
from websockets.http11 import Response

from functions.exchange_bridge.connections.backoff import STEADY_S, Backoff
from functions.exchange_bridge.settings import Settings

WITHIN_S = 3.0
SETTINGS = Settings.from_env({"K_SINK": "http://x"})
AWAY = OSError("refused")


@given(
    st.floats(0, 3_600),
    st.lists(st.sampled_from(["refused", "hangs"]), min_size=1),
    st.integers().map(Random),
)
def test_an_attempt_begins_within_three_seconds_of_the_servers_return(
    returns_s: float, ends: list[str], chance: Random
) -> None:
    """An attempt begins within three seconds of the server's return, refused or hung before."""
    backoff = Backoff(SETTINGS.longest_pause_s, chance.uniform)
    begins_s, number = 0.0, 0
    while begins_s < returns_s:
        lasted_s = 0.0 if ends[number % len(ends)] == "refused" else SETTINGS.timeouts.connect_s
        pause_s = backoff.after(AWAY, lasted_s, was_connected=False)
        number += 1
        if begins_s + lasted_s > returns_s:
            # it returns while an attempt hangs: the next one follows soon
            assert pause_s <= 0.1
            return
        begins_s += lasted_s + pause_s
    assert begins_s - returns_s <= WITHIN_S


def test_backoff_doubles_and_resets() -> None:
    """Backoff doubles to its cap and resets after a stable connection."""
    backoff = Backoff(2.5, lambda low, high: high)
    assert [backoff.after(AWAY, 0.0, was_connected=False) for _ in range(7)] == [
        *(0.1, 0.2, 0.4, 0.8, 1.6, 2.5, 2.5)
    ]
    assert backoff.after(AWAY, STEADY_S, was_connected=True) == 0.1
    assert backoff.after(AWAY, 0.0, was_connected=True) == 0.2
    low = Backoff(2.5, lambda low, high: low)
    assert [low.after(AWAY, 0.0, was_connected=False) for _ in range(2)] == [0.05, 0.1]


@pytest.mark.parametrize(
    ("status", "asked", "expected_s"), [(429, "30", 30.0), (418, "", 10.0), (503, "30", 0.1)]
)
def test_a_refused_connection_has_a_retry_after(status: int, asked: str, expected_s: float) -> None:
    """A refused connection with Retry-After is waited for like a rate limit."""
    error = InvalidStatus(Response(status, "", Headers({"Retry-After": asked} if asked else {})))
    assert Backoff(2.5, lambda low, high: high).after(error, 0.0, was_connected=False) == expected_s
