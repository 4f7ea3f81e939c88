"""What is missing of a feed whose ids do not count, by time and by connection."""

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


def test_one_connection_has_no_hole() -> None:
    """Whatever lies between two trades, and in whatever order they come."""
    assert holes(seen(1_000, 90_000, 80_000, 90_000, 500_000)) == []


def test_a_new_connection_leaves_one_to_its_first_later_trade() -> None:
    """Both ends are in it: more trades of their milliseconds may be missing."""
    times = seen(1_000, 2_000)
    times.connected()
    times.see(at(2_000), 0)  # of a snapshot, as venues send it
    assert holes(times) == []
    times.see(at(9_000), 0)
    times.see(at(9_500), 0)
    assert holes(times) == [(2_000, 9_000)]
    assert times.certain() == Trade("X", 1_999, 2_000_000)


def test_the_first_connection_promises_nothing_of_before() -> None:
    """Neither does a trade that was there before it."""
    times = SymbolTimes("X")
    times.connected()
    times.exists(at(1_000), 0)
    times.see(at(5_000), 0)
    assert holes(times) == [(1_001, 5_000)]


def test_a_newer_trade_that_did_not_come_is_missing() -> None:
    """And what follows it as well, until one comes."""
    times = seen(1_000)
    times.exists(at(3_000), 0)
    times.see(at(4_500), 0)
    assert holes(times) == [(1_000, 4_500)]  # joined: they lie side by side


def test_an_earlier_life_is_gone_on_from() -> None:
    """Behind the millisecond that it was sure of, whether a trade has come or not."""
    times = seen(5_000)
    times.resume(Trade("X", 1_999, 2_000_000), 0)
    assert holes(times) == [(2_000, 5_000)]
    times = SymbolTimes("X")
    times.resume(Trade("X", 1_999, 2_000_000), 0)
    times.see(at(5_000), 0)
    assert holes(times) == [(2_000, 5_000)]


def test_a_range_is_filled_as_far_as_it_is_listed() -> None:
    """No id is absent: nobody knows how many trades there were."""
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
def test_history_by_trades_is_refused_where_nobody_can_tell_that_it_is_whole() -> None:
    """Before anything is asked; candles are the way."""
    settings = Settings.from_env(
        {"K_SINK": "http://none", "FEED": "ccxt", "CCXT_VENUE": "bybit", "CCXT_SYMBOLS": "BTC/USDT"}
    )

    async def ask() -> None:
        try:
            await backfill(settings, Sink("http://none", "/test"), "trades", 0, None, print)
        finally:
            await settings.rest.close()

    with pytest.raises(RestError, match="--candles"):
        asyncio.run(ask())
