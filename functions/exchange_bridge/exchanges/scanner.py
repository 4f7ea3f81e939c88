"""Any WebSocket that pushes the stock scanner's JSON, with or without a topic: no ids, no REST."""

from __future__ import annotations

import msgspec

from functions.exchange_bridge.exchange import Exchange, Kind, Message
from functions.exchange_bridge.feed_settings import safe_ws_url, ws_url
from functions.exchange_bridge.rest import Rest
from shared.runtime.settings import Environment
from shared.wire.raw_batch import FORMAT_SCANNER


class _Scan(msgspec.Struct, gc=False):
    ticker: str = ""


class _Message(msgspec.Struct, gc=False):
    ticker: str = ""
    data: _Scan | None = None
    type: str = ""
    event: str = ""


class Scanner(Exchange):
    """The scanner. Its server decides which symbols to send; the watchlist filters them."""

    name = "scanner"
    format = FORMAT_SCANNER
    decoder = msgspec.json.Decoder(_Message)

    def _message(self, message: _Message) -> Message:
        symbol = message.ticker or (message.data.ticker if message.data is not None else "")
        if symbol:
            return Message(Kind.TRADE, symbol)
        return Message(Kind.HEARTBEAT if message.type or message.event else Kind.UNREADABLE)


def setup(env: Environment) -> Exchange:
    """Read the exchange from the environment."""
    environment = env.text("ENVIRONMENT", "development")
    check = ws_url if environment != "production" else safe_ws_url
    url = env.parsed("WEBSOCKET_URL", "ws://127.0.0.1:8765", check)
    return Scanner(url, (), Rest("scanner", "http://127.0.0.1", 1.0))
