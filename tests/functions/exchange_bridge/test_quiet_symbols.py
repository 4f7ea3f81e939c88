"""One symbol that is silent while others trade: quiet, or without its trades."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread

import orjson
import pytest

from functions.exchange_bridge.stall_detection import FIRST_S
from tests.exchanges.bridge import BridgeOutput, bridging, of_playback
from tests.exchanges.coinbase import CoinbaseDialect
from tests.exchanges.dialects import Dialect
from tests.exchanges.kraken import KrakenDialect
from tests.exchanges.playback import Playback
from tests.functions.exchange_bridge.venues import (
    eventually,
    field_of,
    symbol_of,
    trades,
)
from tests.local.broker.subscriber import Subscriber

pytestmark = pytest.mark.processes


@contextmanager
def trading(exchange: Playback, symbol: str) -> Iterator[None]:
    """Trades of a symbol, ten a second: the connection is never silent."""
    ended = Event()

    def play() -> None:
        number = 1_000
        while not ended.wait(0.1):
            exchange.play(trades(exchange, number, 1, symbol))
            number += 1

    thread = Thread(target=play)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def test_a_quiet_symbol_gets_the_trades_that_a_reconnect_missed(
    any_exchange: Playback, sink: Subscriber, tmp_path: Path
) -> None:
    """A symbol's last trades, missed by a reconnect, are fetched before it trades again."""
    exchange, symbol = any_exchange, symbol_of(any_exchange)
    other, field = symbol.replace("BTC", "ETH"), field_of(any_exchange)
    output, log = BridgeOutput(sink), tmp_path / "log"
    with bridging(sink.url, log, of_playback(exchange, symbol, other)):
        eventually(lambda: exchange.clients > 0, log)
        exchange.play(trades(exchange, 1, 5))
        eventually(lambda: len(set(output.ids(field))) == 5, log)
        exchange.shut()
        exchange.lose(trades(exchange, 6, 5))
        exchange.open()
        eventually(lambda: exchange.clients > 0, log)
        with trading(exchange, other):
            eventually(lambda: set(range(1, 11)) <= set(output.ids(field)), log, 20)


@pytest.mark.parametrize("has_quotes", [False, True])
def test_a_symbol_without_its_trades_is_subscribed_again(
    has_quotes: bool, binance: Playback, sink: Subscriber, tmp_path: Path
) -> None:
    """A symbol whose trades end while quotes or others go on is asked for, and subscribed anew."""
    quote = orjson.dumps({"data": {"u": 1, "s": "BTCUSDT", "a": 1}}).decode()
    output, log = BridgeOutput(sink), tmp_path / "log"
    settings = {**of_playback(binance, "BTCUSDT", "ETHUSDT"), "LISTING_MS": "1000"}
    with bridging(sink.url, log, settings):
        eventually(lambda: binance.clients > 0, log)
        with trading(binance, "ETHUSDT"):
            binance.play(trades(binance, 1, 5))
            eventually(lambda: set(range(1, 6)) <= set(output.ids("a")), log)
            connections, lost = binance.connections, itertools.count(6)

            def is_subscribed_again() -> bool:
                binance.lose(trades(binance, next(lost), 1))
                binance.say(*[quote] * has_quotes)
                return binance.connections > connections

            eventually(is_subscribed_again, log)
            everything = set(range(1, next(lost)))
            eventually(lambda: everything <= set(output.ids("a")), log)
            assert "StalledError: no trade of BTCUSDT" in log.read_text()


def test_a_symbol_that_is_never_sent_does_not_reopen_the_feed(
    binance: Playback, sink: Subscriber, tmp_path: Path
) -> None:
    """A symbol that REST alone lists is fetched: subscribing anew does not help it."""
    output, log = BridgeOutput(sink), tmp_path / "log"
    settings = {**of_playback(binance, "BTCUSDT", "ETHUSDT"), "LISTING_MS": "500"}
    with bridging(sink.url, log, settings):
        eventually(lambda: binance.clients > 0, log)
        with trading(binance, "ETHUSDT"):
            connections = binance.connections
            binance.lose(trades(binance, 1, 1))
            for number in range(2, 8):
                asked = len(binance.requests)
                eventually(lambda: len(binance.requests) >= asked + 4, log)  # noqa: B023
                binance.lose(trades(binance, number, 1))
            eventually(lambda: set(range(3, 8)) <= set(output.ids("a")), log)
            assert binance.connections == connections


def test_symbols_that_do_not_trade_are_not_asked_for_at_the_start(
    binance: Playback, sink: Subscriber, tmp_path: Path
) -> None:
    """A feed that is up asks for the status of quiet symbols after LISTING_MS."""
    log = tmp_path / "log"
    with bridging(sink.url, log, of_playback(binance, "BTCUSDT", "ETHUSDT")):
        eventually(lambda: "subscribed" in log.read_text(), log)
        time.sleep(FIRST_S + 0.5)
        assert not [each for each in binance.requests if "exchangeInfo" in each]


@pytest.mark.parametrize("dialect", [CoinbaseDialect, KrakenDialect])
def test_a_symbol_that_ended_before_the_start_delays_no_other(
    dialect: type[Dialect], sink: Subscriber, tmp_path: Path
) -> None:
    """A symbol that makes the exchange refuse a subscription is left out within seconds."""
    exchange = Playback(dialect())
    symbol = symbol_of(exchange)
    bad = symbol.replace("BTC", "BAD")
    exchange.dialect.listings[bad] = "ended"
    output, log = BridgeOutput(sink), tmp_path / "log"
    try:
        with bridging(sink.url, log, of_playback(exchange, symbol, bad)):
            eventually(lambda: "ended" in output.states(bad), log, 30)
            eventually(lambda: "quiet" in output.states(symbol), log, 30)
    finally:
        exchange.close()
