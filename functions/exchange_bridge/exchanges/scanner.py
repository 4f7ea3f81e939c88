"""Any WebSocket that pushes the stock scanner's JSON, with or without a topic: no ids, no REST."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from types import MappingProxyType
from typing import Final

import msgspec

from functions.exchange_bridge.exchange import Exchange, Fetched, Kind, Kline, Message, Trade
from functions.exchange_bridge.feed_settings import safe_ws_url, ws_url
from functions.exchange_bridge.rest import Rest
from shared.runtime.settings import Environment
from shared.wire.feed_status import FeedState
from shared.wire.raw_batch import FORMAT_SCANNER


class _Scan(msgspec.Struct, gc=False):
    ticker: str = ""


class _Message(msgspec.Struct, gc=False):
    ticker: str = ""
    data: _Scan | None = None
    type: str = ""
    event: str = ""


_decode: Final = msgspec.json.Decoder(_Message).decode


class Scanner:
    """The scanner. Its server decides which symbols to send; the watchlist filters them."""

    name = "scanner"
    venue = ""
    format = FORMAT_SCANNER
    symbols: tuple[str, ...] = ()
    contiguous = True
    joins = False
    heartbeats = False
    counts_trades = False
    life_s = 0.0
    intervals: Mapping[int, str] = MappingProxyType({})

    def __init__(self, url: str) -> None:
        self._url = url

    def url(self) -> str:
        """Return the address."""
        return self._url

    def requests(self) -> Sequence[str]:
        """Return nothing: the server pushes."""
        return []

    def expected(self) -> frozenset[str]:
        """Return nothing: there is no confirmation."""
        return frozenset()

    def read(self, payload: bytes) -> Message:
        """Classify a message."""
        try:
            message = _decode(payload)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return Message(Kind.UNREADABLE)
        symbol = message.ticker or (message.data.ticker if message.data is not None else "")
        if symbol:
            return Message(Kind.TRADE, symbol)
        return Message(Kind.HEARTBEAT if message.type or message.event else Kind.UNREADABLE)

    async def missing(
        self, rest: Rest, symbol: str, first: Trade, last: Trade
    ) -> AsyncIterator[Fetched]:
        """Yield nothing: without ids no gap can be detected."""
        nothing: tuple[Fetched, ...] = ()
        for each in nothing:
            yield each

    async def klines(
        self, rest: Rest, symbol: str, length_us: int, from_us: int, to_us: int
    ) -> AsyncIterator[list[Kline]]:
        """Yield nothing: the scanner has no history."""
        nothing: tuple[list[Kline], ...] = ()
        for each in nothing:
            yield each

    async def before(self, rest: Rest, symbol: str, time_us: int) -> Trade | None:
        """Return None: there is no way to ask."""
        return None

    async def listed(self, rest: Rest, symbol: str) -> FeedState:
        """Return LIVE: there is no way to ask."""
        return FeedState.LIVE

    async def newest(self, rest: Rest, symbol: str) -> Trade | None:
        """Return None: there is no way to ask."""
        return None


def setup(env: Environment) -> tuple[Exchange, Rest]:
    """Read the exchange and its REST from the environment."""
    environment = env.text("ENVIRONMENT", "development")
    check = ws_url if environment != "production" else safe_ws_url
    url = env.parsed("WEBSOCKET_URL", "ws://127.0.0.1:8765", check)
    return Scanner(url), Rest("scanner", "http://127.0.0.1", 1.0)
