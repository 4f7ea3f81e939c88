"""Symbols that the exchange trades no more, or not now: said as such, not as a stalled feed."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.exchanges.binance import CcxtBinanceDialect
from tests.exchanges.bridge import Told, bridging, of_playback
from tests.exchanges.dialects import Dialect
from tests.exchanges.kraken import KrakenDialect
from tests.exchanges.playback import Playback
from tests.functions.exchange_bridge.venues import eventually, symbol_of, trades
from tests.local.broker.subscriber import Subscriber

pytestmark = pytest.mark.processes

QUICK = {"LISTING_MS": "300", "QUIET_MS": "600000"}
"""What was live stays so until the exchange says otherwise."""


def state(told: Told, symbol: str) -> str:
    newest = told.statuses()[-1:]
    return next(
        (s.state.value for status in newest for s in status.symbols if s.symbol == symbol), ""
    )


def test_a_symbol_is_halted_goes_on_and_ends(
    any_exchange: Playback, sink: Subscriber, tmp_path: Path
) -> None:
    """Its trades end a halt at once; the other symbol of the feed is as it was."""
    told, log, symbol = Told(sink), tmp_path / "log", symbol_of(any_exchange)
    other = symbol.replace("BTC", "ETH")
    with bridging(sink.url, log, {**of_playback(any_exchange, symbol, other), **QUICK}):
        eventually(lambda: any_exchange.clients > 0, log)
        any_exchange.play(trades(any_exchange, 1, 5))
        eventually(lambda: state(told, symbol) == "live", log)
        any_exchange.dialect.listings[symbol] = "halted"
        eventually(lambda: state(told, symbol) == "halted", log)
        assert told.states(other)[-1:] == ["quiet"]
        del any_exchange.dialect.listings[symbol]
        any_exchange.play(trades(any_exchange, 6, 5))
        eventually(lambda: state(told, symbol) == "live", log)
        any_exchange.dialect.listings[symbol] = "ended"
        eventually(lambda: state(told, symbol) == "ended", log)
        any_exchange.play(trades(any_exchange, 1, 1, other))
        eventually(lambda: state(told, other) == "live", log)
        assert state(told, symbol) == "ended"
    assert "stalled" not in told.states(symbol)


def test_an_ended_symbol_holds_up_no_other(
    coinbase: Playback, sink: Subscriber, tmp_path: Path
) -> None:
    """An exchange that refuses the whole subscription because of it is asked without it."""
    told, log = Told(sink), tmp_path / "log"
    coinbase.dialect.listings["BAD-USD"] = "ended"
    with bridging(sink.url, log, {**of_playback(coinbase, "BTC-USD", "BAD-USD"), **QUICK}):
        eventually(lambda: state(told, "BAD-USD") == "ended", log)
        eventually(lambda: state(told, "BTC-USD") == "quiet", log)
        coinbase.play(trades(coinbase, 1, 5))
        eventually(lambda: len(told.ids("trade_id")) == 5, log)
    assert state(told, "BAD-USD") == "ended"


@pytest.mark.parametrize("dialect", [KrakenDialect, CcxtBinanceDialect])
def test_an_exchange_in_maintenance_says_so(
    dialect: type[Dialect], sink: Subscriber, tmp_path: Path
) -> None:
    """The feed is live again with the first trade."""
    exchange = Playback(dialect())
    told, log, symbol = Told(sink), tmp_path / "log", symbol_of(exchange)
    try:
        with bridging(sink.url, log, {**of_playback(exchange, symbol), **QUICK}):
            eventually(lambda: exchange.clients > 0, log)
            exchange.dialect.listings[symbol] = "maintenance"
            exchange.shut()
            eventually(lambda: state(told, symbol) == "maintenance", log)
            exchange.open()
            exchange.dialect.listings.clear()
            eventually(lambda: exchange.clients > 0, log)
            exchange.play(trades(exchange, 1, 5))
            eventually(lambda: state(told, symbol) == "live", log)
    finally:
        exchange.close()
