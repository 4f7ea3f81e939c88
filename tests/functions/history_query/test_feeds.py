"""GET /api/feeds over the rows that persist writes."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

from shared.wire.feed_status import FeedState, FeedStatus, SymbolStatus
from shared.wire.gaps import Gap, GapState
from tests.functions.history_query.conftest import House
from tests.functions.history_query.market import START_US, columns, generated

BTC = SymbolStatus("BTCUSDT", "BTC-USDT.BINANCE", FeedState.LIVE, 7_000_000, 5_000_000, 41, 5)
ETH = SymbolStatus("ETHUSDT", "ETH-USDT.BINANCE", FeedState.QUIET)


def status(*symbols: SymbolStatus, ago_s: float = 0, error: str = "") -> FeedStatus:
    reported_us = time.time_ns() // 1000 - int(ago_s * 1e6)
    return FeedStatus("binance", "life", reported_us, 3, 1_234_567, error, symbols)


def feeds(house: House) -> list[dict[str, Any]]:
    body: list[dict[str, Any]] = house.get("/api/feeds").json()
    return body


def test_each_symbol_has_a_state_of_its_own(house: House) -> None:
    """A quiet symbol beside a live one makes its feed neither quiet nor stalled."""
    house.feeds.status(status(BTC, ETH))
    (feed,) = feeds(house)
    assert (feed["feed"], feed["state"]) == ("binance", "live")
    assert (feed["reconnects"], feed["skew_ms"], feed["error"]) == (3, 1235, None)
    btc, eth = feed["symbols"]
    assert (btc["state"], eth["state"]) == ("live", "quiet")
    assert (btc["last_message"], btc["last_trade"], btc["last_trade_id"]) == (7_000, 5_000, 41)
    assert (eth["last_message"], eth["last_trade"], eth["last_trade_id"]) == (None, None, None)


def test_a_feed_without_symbols_is_listed(house: House) -> None:
    """A feed whose server names the symbols is listed before it sends any, and lists only these."""
    unheard = SymbolStatus("", "", FeedState.RECONNECTING)
    house.feeds.status(status(unheard, ago_s=1, error="refused"))
    (feed,) = feeds(house)
    assert (feed["state"], feed["error"], feed["symbols"]) == ("reconnecting", "refused", [])
    house.feeds.status(status(BTC))
    (feed,) = feeds(house)
    assert [each["symbol"] for each in feed["symbols"]] == ["BTCUSDT"]


def test_a_feed_that_does_not_report_is_down(house: House) -> None:
    """A feed without recent reports is down, whatever its last state."""
    house.feeds.status(status(BTC, ETH, ago_s=20))
    (feed,) = feeds(house)
    assert {feed["state"], *(each["state"] for each in feed["symbols"])} == {"down"}


def test_a_symbol_that_was_taken_out_of_a_feed_is_down(house: House) -> None:
    """A symbol that left its feed is down, and the others keep their states."""
    house.feeds.status(status(BTC, ETH, ago_s=20))
    house.feeds.status(status(BTC))
    (feed,) = feeds(house)
    assert (feed["state"], *(each["state"] for each in feed["symbols"])) == ("live", "live", "down")


def test_the_newest_status_counts_and_a_new_life_forgets_nothing(house: House) -> None:
    """The newest status wins in any order; a restarted bridge leaves fields that it lacks."""
    house.feeds.status(status(BTC))
    assert not house.feeds.status(status(replace(BTC, state=FeedState.STALLED), ago_s=3))
    unknown = SymbolStatus("BTCUSDT", "BTC-USDT.BINANCE", FeedState.RECONNECTING)
    assert house.feeds.status(status(unknown, error="refused"))
    (feed,) = feeds(house)
    (symbol,) = feed["symbols"]
    assert (symbol["state"], symbol["last_trade_id"], symbol["last_trade"]) == (
        "reconnecting",
        41,
        5_000,
    )
    assert feed["error"] == "refused"


def test_gaps_are_counted_from_their_rows(house: House) -> None:
    """A gap that is filled counts once, whichever of its two events comes first."""
    house.feeds.status(status(BTC))
    gap = Gap("BTCUSDT", "BTC-USDT.BINANCE", 10, 19, 1, 2)
    other = replace(gap, first_id=30, last_id=31)
    filled = replace(gap, state=GapState.FILLED)
    house.feeds.gaps("g1/filled", "binance", [filled])
    house.feeds.gaps("g1/open", "binance", [gap])
    assert house.feeds.gaps("g2", "binance", [other])
    assert not house.feeds.gaps("g2", "binance", [other])
    (feed,) = feeds(house)
    assert feed["symbols"][0]["gaps"] == {"open": 1, "filled": 1, "missing": 2}


def test_candles_made_on_reading_touch_gaps_too(house: House) -> None:
    """Candles made on reading are marked by gaps, until these are filled."""
    house.take(columns(generated(1, 300, 1_000_000), "A/B"))
    gap = Gap("AB", "A/B", 10, 19, START_US + 70_000_000, START_US + 75_000_000)
    house.feeds.gaps("g", "x", [gap])

    def incomplete(timeframe: str) -> list[int]:
        candles = house.get("/api/candles/A/B", timeframe=timeframe).json()["candles"]
        assert len(candles) > 1
        return [(each["t"] - START_US // 1000) // 1000 for each in candles if not each["complete"]]

    # the first ticks are 37 s before a boundary
    assert incomplete("1m") == [37]
    assert incomplete("2m") == [37]
    assert incomplete("30s") == [67]
    house.feeds.gaps("f", "x", [replace(gap, state=GapState.FILLED)])
    assert incomplete("1m") == incomplete("2m") == incomplete("30s") == []
