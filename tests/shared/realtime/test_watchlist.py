"""The watchlist over a real Valkey."""

from __future__ import annotations

import pytest
import redis

from shared.errors import TransientError
from shared.realtime.watchlist import OWN_KEY, Watched, Watchlist
from shared.stores.redis import connect


def test_it_is_the_union_of_own_symbols_and_scanner_keys(valkey: redis.Redis) -> None:
    """Another system's keys count by their names, and are never written."""
    for n in range(2_500):  # more than one turn of SCAN
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


def test_a_prefix_is_taken_literally(valkey: redis.Redis) -> None:
    """A setting with the characters of a pattern in it finds its own keys, and no others."""
    valkey.set("list[1]*:AAPL", "1")
    valkey.set("list1x:MSFT", "1")
    assert Watchlist(valkey, "list[1]*:").scanner() == {"AAPL"}


@pytest.mark.parametrize("text", ["", "A B", "A\n", "x" * 65])
def test_what_is_no_symbol_is_refused(valkey: redis.Redis, text: str) -> None:
    """Nothing is added, and the message says what a symbol is."""
    with pytest.raises(ValueError, match="no symbol: 1 to 64"):
        Watchlist(valkey).add(["AAPL", text])
    assert not valkey.exists(OWN_KEY)


def test_a_watched_list_is_read_again_when_it_is_due(valkey: redis.Redis) -> None:
    """Not before; an empty list selects everything."""
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


def test_a_list_that_cannot_be_read_stays_as_it_was() -> None:
    """Redis away: what was known goes on to count, and the next refresh tries again."""
    away = connect("redis://127.0.0.1:1/0")
    watched = Watched(Watchlist(away), symbols=frozenset({"AAPL"}))
    with pytest.raises(TransientError):
        watched.refresh()
    assert watched.selects("AAPL")
    assert not watched.selects("MSFT")
    assert watched.is_due()
