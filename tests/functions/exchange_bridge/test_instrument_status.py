"""Symbols that are halted or delisted at the exchange: reported as such, not as stalled."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from functions.exchange_bridge.connections.connection import Timeouts, WebSocketConnection
from functions.exchange_bridge.exchanges.coinbase import Coinbase
from functions.exchange_bridge.rest import Rest
from shared.runtime.tasks import end
from tests.exchanges.binance import CcxtBinanceDialect
from tests.exchanges.bridge import BridgeOutput, bridging, of_playback
from tests.exchanges.dialects import Dialect
from tests.exchanges.kraken import KrakenDialect
from tests.exchanges.playback import Playback
from tests.functions.exchange_bridge.venues import eventually, symbol_of, trades
from tests.local.broker.subscriber import Subscriber

pytestmark = pytest.mark.processes

QUICK = {"LISTING_MS": "300", "QUIET_MS": "600000"}
"""What was live stays so until the exchange says otherwise."""


def state(output: BridgeOutput, symbol: str) -> str:
    newest = output.statuses()[-1:]
    return next(
        (s.state.value for status in newest for s in status.symbols if s.symbol == symbol), ""
    )


def test_a_symbol_is_halted_goes_on_and_ends(
    any_exchange: Playback, sink: Subscriber, tmp_path: Path
) -> None:
    """A symbol is halted, live at its next trade and ended; the other symbol is unaffected."""
    output, log, symbol = BridgeOutput(sink), tmp_path / "log", symbol_of(any_exchange)
    other = symbol.replace("BTC", "ETH")
    with bridging(sink.url, log, {**of_playback(any_exchange, symbol, other), **QUICK}):
        eventually(lambda: any_exchange.clients > 0, log)
        any_exchange.play(trades(any_exchange, 1, 5))
        eventually(lambda: state(output, symbol) == "live", log)
        any_exchange.dialect.listings[symbol] = "halted"
        eventually(lambda: state(output, symbol) == "halted", log)
        assert output.states(other)[-1:] == ["quiet"]
        del any_exchange.dialect.listings[symbol]
        any_exchange.play(trades(any_exchange, 6, 5))
        eventually(lambda: state(output, symbol) == "live", log)
        any_exchange.dialect.listings[symbol] = "ended"
        eventually(lambda: state(output, symbol) == "ended", log)
        any_exchange.play(trades(any_exchange, 1, 1, other))
        eventually(lambda: state(output, other) == "live", log)
        assert state(output, symbol) == "ended"
    assert "stalled" not in output.states(symbol)


def test_an_ended_symbol_blocks_no_other(
    coinbase: Playback, sink: Subscriber, tmp_path: Path
) -> None:
    """If an ended symbol makes the exchange refuse a subscription, the others go without it."""
    output, log = BridgeOutput(sink), tmp_path / "log"
    coinbase.dialect.listings["BAD-USD"] = "ended"
    with bridging(sink.url, log, {**of_playback(coinbase, "BTC-USD", "BAD-USD"), **QUICK}):
        eventually(lambda: state(output, "BAD-USD") == "ended", log)
        eventually(lambda: state(output, "BTC-USD") == "quiet", log)
        coinbase.play(trades(coinbase, 1, 5))
        eventually(lambda: len(output.ids("trade_id")) == 5, log)
    assert state(output, "BAD-USD") == "ended"


def test_a_symbol_that_ends_while_connecting_is_not_waited_for(coinbase: Playback) -> None:
    """A connection awaits the confirmation of those symbols that it has requested."""
    exchange = Coinbase(
        coinbase.websocket_url, ["BTC-USD", "BAD-USD"], Rest("coinbase", coinbase.rest_url, 0)
    )

    def ended() -> None:
        exchange.symbols = ("BTC-USD",)

    async def is_behind() -> bool:
        return False

    async def subscribed() -> bool:
        timeouts = Timeouts(connect_s=5.0, stall_s=60.0)
        connection = WebSocketConnection(
            exchange, timeouts, exchange.read, is_behind, ended, 1 << 20
        )
        running = asyncio.create_task(connection.run())
        confirmed = asyncio.create_task(connection.subscribed.wait())
        await asyncio.wait({running, confirmed}, return_when=asyncio.FIRST_COMPLETED)
        await end(running, confirmed)
        return connection.subscribed.is_set()

    assert asyncio.run(subscribed())


@pytest.mark.parametrize("dialect", [KrakenDialect, CcxtBinanceDialect])
def test_an_exchange_in_maintenance_is_reported(
    dialect: type[Dialect], sink: Subscriber, tmp_path: Path
) -> None:
    """A feed is in maintenance with its exchange, and live with the next trade."""
    exchange = Playback(dialect())
    output, log, symbol = BridgeOutput(sink), tmp_path / "log", symbol_of(exchange)
    try:
        with bridging(sink.url, log, {**of_playback(exchange, symbol), **QUICK}):
            eventually(lambda: exchange.clients > 0, log)
            exchange.dialect.listings[symbol] = "maintenance"
            exchange.shut()
            eventually(lambda: state(output, symbol) == "maintenance", log)
            exchange.open()
            exchange.dialect.listings.clear()
            eventually(lambda: exchange.clients > 0, log)
            exchange.play(trades(exchange, 1, 5))
            eventually(lambda: state(output, symbol) == "live", log)
    finally:
        exchange.close()
