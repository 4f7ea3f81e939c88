"""Gaps of a feed whose ids have no order, by time and connection."""

from __future__ import annotations

import asyncio

import pytest

from functions.exchange_bridge.backfill import backfill
from functions.exchange_bridge.exchange import Trade
from functions.exchange_bridge.rest import RestError
from functions.exchange_bridge.seen_times import SymbolTimes
from functions.exchange_bridge.settings import Settings
from shared.adapter.sink import Sink


def at(time_ms: int) -> Trade:
    return Trade("X", time_ms, time_ms * 1000)


def holes(times: SymbolTimes) -> list[tuple[int, int]]:
    return [(hole.first, hole.last) for hole in times.holes]


def seen(*times_ms: int) -> SymbolTimes:
    times = SymbolTimes("X")
    for time_ms in times_ms:
        times.see(at(time_ms), 0)
    return times


def test_one_connection_has_no_gap() -> None:
    """One connection has no gap, whatever the times and order of its trades."""
    assert holes(seen(1_000, 90_000, 80_000, 90_000, 500_000)) == []


def test_a_new_connection_leaves_a_gap_to_its_first_trade() -> None:
    """A new connection leaves a gap up to its first later trade, both ends included.

    More trades of their milliseconds may be missing.
    """
    times = seen(1_000, 2_000)
    times.connected()
    times.see(at(2_000), 0)  # of a snapshot
    assert holes(times) == []
    times.see(at(9_000), 0)
    times.see(at(9_500), 0)
    assert holes(times) == [(2_000, 9_000)]
    assert times.certain() == Trade("X", 1_999, 2_000_000)


def test_the_first_connection_has_no_gap_before_it() -> None:
    """The first connection has no gap before it, also with an older trade."""
    times = SymbolTimes("X")
    times.connected()
    times.exists(at(1_000), 0)
    times.see(at(5_000), 0)
    assert holes(times) == [(1_001, 5_000)]


def test_a_newer_trade_that_did_not_come_is_missing() -> None:
    """A newer trade of the exchange that did not arrive is a gap up to the next arrival."""
    times = seen(1_000)
    times.exists(at(3_000), 0)
    times.see(at(4_500), 0)
    assert holes(times) == [(1_000, 4_500)]  # adjacent gaps are joined


def test_a_restart_resumes_at_the_last_time() -> None:
    """A restart leaves a gap from the last confirmed millisecond, with or without a trade."""
    times = seen(5_000)
    times.resume(Trade("X", 1_999, 2_000_000), 0)
    assert holes(times) == [(2_000, 5_000)]
    times = SymbolTimes("X")
    times.resume(Trade("X", 1_999, 2_000_000), 0)
    times.see(at(5_000), 0)
    assert holes(times) == [(2_000, 5_000)]


def test_a_range_is_filled_as_far_as_it_is_listed() -> None:
    """A gap is filled as far as the venue lists it, and no id is absent."""
    times = seen(1_000)
    times.connected()
    times.see(at(9_000), 0)
    (gap,) = times.lasting(2, 1)
    assert times.settle(gap, 1_000, 4_000) == []
    assert (gap.left, times.count(gap)) == ([(4_001, 9_000)], 1)
    assert times.closed() == []
    times.settle(gap, 4_001, 9_000)
    assert times.closed() == [gap]
    assert gap.absent == 0


@pytest.mark.processes
def test_history_by_trades_is_refused_if_not_verifiable() -> None:
    """History by trades is refused before a request where its completeness cannot be verified."""
    settings = Settings.from_env(
        {"K_SINK": "http://none", "FEED": "ccxt", "CCXT_VENUE": "bybit", "CCXT_SYMBOLS": "BTC/USDT"}
    )

    async def ask() -> None:
        try:
            await backfill(settings, Sink("http://none", "/test"), "trades", 0, None, print)
        finally:
            await settings.exchange.rest.close()

    with pytest.raises(RestError, match="--candles"):
        asyncio.run(ask())
