"""The watchlist over a real Valkey."""

from __future__ import annotations

import pytest
import redis

from shared.errors import TransientError
from shared.realtime.watchlist import OWN_KEY, Watched, Watchlist
from shared.stores.redis import connect


def test_the_watchlist_is_the_union_of_symbols_and_scanner_keys(valkey: redis.Redis) -> None:
    """The watchlist has its own symbols and those of the scanner's keys, which it never writes."""
    for n in range(2_500):  # more than one page of SCAN
        valkey.set(f"scanner:latest:T{n}", "{}")
    valkey.set("scanner:other:X", "{}")
    valkey.set("xscanner:latest:Y", "{}")
    watchlist = Watchlist(valkey)
    assert watchlist.add(["AAPL", "BTC-USDT.BINANCE"]) == 2
    assert watchlist.add(["AAPL"]) == 0
    expected = {f"T{n}" for n in range(2_500)}
    assert watchlist.scanner() == expected
    assert watchlist.symbols() == expected | {"AAPL", "BTC-USDT.BINANCE"}
    assert watchlist.remove(["AAPL", "T1"]) == 1
    assert watchlist.own() == {"BTC-USDT.BINANCE"}
    assert "T1" in watchlist.symbols()
    assert set(valkey.keys("scanner:*")) == {
        *(f"scanner:latest:T{n}".encode() for n in range(2_500)),
        b"scanner:other:X",
    }


def test_a_prefix_with_glob_characters_is_literal(valkey: redis.Redis) -> None:
    """A prefix with glob characters matches only its own keys."""
    valkey.set("list[1]*:AAPL", "1")
    valkey.set("list1x:MSFT", "1")
    assert Watchlist(valkey, "list[1]*:").scanner() == {"AAPL"}


@pytest.mark.parametrize("text", ["", "A B", "A\n", "x" * 65])
def test_an_invalid_symbol_is_refused(valkey: redis.Redis, text: str) -> None:
    """An invalid symbol is not added, and the error says what a symbol is."""
    with pytest.raises(ValueError, match="not a symbol: 1 to 64"):
        Watchlist(valkey).add(["AAPL", text])
    assert not valkey.exists(OWN_KEY)


def test_the_watchlist_is_refreshed_when_due(valkey: redis.Redis) -> None:
    """The watchlist is read again when due and not before; an empty one selects everything."""
    now = [0.0]
    watched = Watched(Watchlist(valkey), refresh_s=15, clock=lambda: now[0])
    watched.refresh()
    assert watched.selects("MSFT")
    valkey.set("scanner:latest:AAPL", "{}")
    now[0] = 14.9
    watched.refresh()
    assert watched.selects("MSFT")
    now[0] = 15.0
    watched.refresh()
    assert watched.selects("AAPL")
    assert not watched.selects("MSFT")


def test_the_watchlist_stays_while_redis_is_away() -> None:
    """While Redis is away the last watchlist stays valid, and the next refresh tries again."""
    away = connect("redis://127.0.0.1:1/0")
    watched = Watched(Watchlist(away), symbols=frozenset({"AAPL"}))
    with pytest.raises(TransientError):
        watched.refresh()
    assert watched.selects("AAPL")
    assert not watched.selects("MSFT")
    assert watched.is_due()
