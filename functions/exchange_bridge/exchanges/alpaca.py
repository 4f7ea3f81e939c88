"""Alpaca: US stocks by its stream `v2/iex` or `v2/sip`, with cancels, corrections and halts.

Sources: Alpaca, "WebSocket Stream" (authentication, subscription, one connection an account),
"Real-time Stock Data", "Historical trades", "Historical bars" and "Assets". Trade ids do not count,
so what a connection left out is fetched by time: REST lists every trade of a range, page by page.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from types import MappingProxyType
from typing import Final, TypeVar

import msgspec
import orjson

from functions.exchange_bridge.exchange import (
    Exchange,
    Fetched,
    Kind,
    Kline,
    Message,
    Trade,
    within,
)
from functions.exchange_bridge.feed_settings import safe_http_url, safe_ws_url, symbols_of
from functions.exchange_bridge.rest import Rest, RestError
from shared.market.bounds import LATEST_US
from shared.market.decimals import EXACT
from shared.market.instruments import Venue
from shared.market.timestamps import iso_of, parse_us
from shared.runtime.settings import Environment
from shared.wire.feed_status import FeedState
from shared.wire.raw_batch import FORMAT_ALPACA

SOURCES: Final = ("iex", "sip", "delayed_sip")
PAGE: Final = 10_000
SPACING_S: Final = 0.3
"""200 requests a minute are allowed without a subscription."""
LOOK_BACK_US: Final = 7 * 86_400_000_000
"""How far back to look for the preceding trade: longer than any holiday."""

_HALTS: Final = frozenset({"2", "H", "P"})
"""Status codes: halted (CTA), halted and paused (UTP)."""
_TRADED: Final = frozenset({"3", "T"})
_KINDS: Final = {"t": Kind.TRADE, "c": Kind.BUST, "x": Kind.BUST, "q": Kind.QUOTE}


class _Element(msgspec.Struct, gc=False):
    T: str
    S: str = ""
    t: str = ""
    sc: str = ""
    msg: str = ""
    code: int = 0
    trades: list[str] = []
    quotes: list[str] = []
    statuses: list[str] = []


class _Listed(msgspec.Struct, gc=False):
    t: str


class _Page(msgspec.Struct):
    next_page_token: str | None = None


class _Trades(_Page):
    trades: list[msgspec.Raw] | None = None


class _Bar(msgspec.Struct, gc=False):
    t: str
    o: Decimal
    h: Decimal
    l: Decimal  # noqa: E741 - the exchange's name
    c: Decimal
    v: Decimal
    n: int
    vw: Decimal


class _Bars(_Page):
    bars: list[_Bar] | None = None


P = TypeVar("P", bound=_Page)


_decode_listed: Final = msgspec.json.Decoder(_Listed).decode
_decode_page: Final = msgspec.json.Decoder(_Trades).decode
_decode_bars: Final = msgspec.json.Decoder(_Bars).decode


@dataclass(frozen=True, slots=True)
class Credentials:
    """An API key; neither of its parts is in a repr, a log or a status."""

    key_id: str = field(repr=False)
    secret: str = field(repr=False)

    @property
    def headers(self) -> dict[str, str]:
        """The headers of REST requests."""
        return {"APCA-API-KEY-ID": self.key_id, "APCA-API-SECRET-KEY": self.secret}


class Alpaca(Exchange):
    """Alpaca's stocks. `source`: `iex`, `sip` or `delayed_sip`."""

    name = "alpaca"
    venue = Venue.ALPACA
    format = FORMAT_ALPACA
    channels = ("trades", "quotes", "statuses")
    contiguous = False
    decoder = msgspec.json.Decoder(list[_Element])
    intervals: Mapping[int, str] = MappingProxyType(
        {60_000_000: "1Min", 300_000_000: "5Min", 3_600_000_000: "1Hour"}
    )

    def __init__(
        self,
        base_url: str,
        trading_url: str,
        symbols: Sequence[str],
        source: str,
        credentials: Credentials,
        rest: Rest,
    ) -> None:
        super().__init__(f"{base_url.rstrip('/')}/v2/{source}", symbols, rest)
        self._trading_url = trading_url.rstrip("/")
        self._source = source
        self._credentials = credentials
        self._halted: set[str] = set()

    def _message(self, elements: list[_Element]) -> Message:
        """Classify a list of data, which may hold several symbols and kinds."""
        trades = tuple(_at(each.S, each.t) for each in elements if each.T == "t")
        kinds = {each.T for each in elements}
        for status in (each for each in elements if each.T == "s"):
            self._note(status)
        kind = next((kind for T, kind in _KINDS.items() if T in kinds), None)
        if kind is None:
            return self._of_control(elements[0]) if elements else Message(Kind.UNREADABLE)
        first, *also = dict.fromkeys(each.S for each in elements if each.T in _KINDS)
        sent_us = max((trade.time_us for trade in trades), default=None)
        return Message(kind, first, trades, sent_us=sent_us, also=tuple(also))

    def _note(self, status: _Element) -> None:
        if status.sc in _HALTS:
            self._halted.add(status.S)
        elif status.sc in _TRADED:
            self._halted.discard(status.S)

    def _of_control(self, element: _Element) -> Message:
        if element.T == "success" and element.msg == "connected":
            credentials = self._credentials
            auth = {"action": "auth", "key": credentials.key_id, "secret": credentials.secret}
            return Message(Kind.OTHER, reply=orjson.dumps(auth).decode())
        if element.T == "success" and element.msg == "authenticated":
            subscription = {channel: list(self.symbols) for channel in self.channels}
            request = {"action": "subscribe", **subscription}
            return Message(Kind.OTHER, reply=orjson.dumps(request).decode())
        if element.T == "subscription":
            confirmed = {
                f"{channel} {symbol}"
                for channel in self.channels
                for symbol in getattr(element, channel)
            }
            return Message(Kind.CONFIRMATION, confirmed=frozenset(confirmed))
        if element.T == "error":
            return Message(Kind.ERROR, detail=f"{element.code} {element.msg}")
        return Message(Kind.OTHER, element.S)

    async def missing(self, symbol: str, first: Trade, last: Trade) -> AsyncIterator[Fetched]:
        """Yield pages, ascending; `id` is the time in ms."""
        path, reached = f"/v2/stocks/{symbol}/trades", first.id - 1
        span = {"start": iso_of(first.id * 1000), "end": iso_of((last.id + 1) * 1000)}
        async for page in self._pages(path, span, _decode_page):
            trades = [(_trade(symbol, row), row) for row in page.trades or ()]
            if trades:
                # More trades of the last millisecond may be on the next page.
                reached = max(reached, trades[-1][0].id - 1)
            in_range = [(trade, row) for trade, row in trades if trade.id <= last.id]
            yield Fetched(
                [_payload(symbol, path, row) for _, row in in_range],
                [trade for trade, _ in in_range],
                last.id if page.next_page_token is None else min(reached, last.id),
            )

    async def klines(
        self, symbol: str, length_us: int, from_us: int, to_us: int
    ) -> AsyncIterator[list[Kline]]:
        """Yield pages of unadjusted bars; the price is the VWAP as Alpaca rounds it."""
        parameters = {
            "timeframe": self.intervals[length_us],
            "adjustment": "raw",
            "start": iso_of(from_us),
            "end": iso_of(to_us - 1),
        }
        path = f"/v2/stocks/{symbol}/bars"
        async for page in self._pages(path, parameters, _decode_bars):
            yield within((_kline(bar) for bar in page.bars or () if bar.n), from_us, to_us)

    async def before(self, symbol: str, time_us: int) -> Trade | None:
        """Return the last trade before a time."""
        span = {"start": iso_of(time_us - LOOK_BACK_US), "end": iso_of(time_us - 1), "sort": "desc"}
        path = f"/v2/stocks/{symbol}/trades"
        page = await anext(self._pages(path, span, _decode_page, limit=1))
        return _trade(symbol, page.trades[0]) if page.trades else None

    async def listed(self, symbol: str) -> FeedState:
        """Fetch the asset; a halt is known from the last trading status on this connection."""
        status = FeedState.HALTED if symbol in self._halted else FeedState.LIVE
        try:
            asset = await self.rest.get(f"{self._trading_url}/v2/assets/{symbol}", {})
        except RestError as error:
            if error.status == 404:
                return FeedState.ENDED
            if status is FeedState.HALTED:
                return status
            raise
        return status if asset["status"] == "active" else FeedState.ENDED

    async def newest(self, symbol: str) -> Trade | None:
        """Return the newest trade."""
        path = f"/v2/stocks/{symbol}/trades/latest"
        body = await self.rest.get(path, {"feed": self._source})
        return None if not body.get("trade") else _at(symbol, body["trade"]["t"])

    async def _pages(
        self,
        path: str,
        parameters: Mapping[str, str],
        decode: Callable[[bytes], P],
        limit: int = PAGE,
    ) -> AsyncIterator[P]:
        """Yield the pages of a response. Raises RestError: one leads to itself."""
        query: dict[str, str | int] = {**parameters, "limit": limit, "feed": self._source}
        token: str | None = None
        while True:
            page: P = await self.rest.get(path, query, decode)
            if page.next_page_token is not None and page.next_page_token == token:
                raise RestError(
                    "Alpaca's page leads to itself: its next_page_token is the one it was for"
                )
            yield page
            token = page.next_page_token
            if token is None:
                return
            query["page_token"] = token


def _payload(symbol: str, path: str, row: msgspec.Raw) -> bytes:
    """Return the stream message equivalent to a REST row, with its numbers as text."""
    begin = orjson.dumps({"T": "t", "S": symbol, "backfill": path})[:-1]
    return b"[" + begin + b"," + bytes(row).strip()[1:] + b"]"


def _trade(symbol: str, row: msgspec.Raw) -> Trade:
    return _at(symbol, _decode_listed(row).t)


def _at(symbol: str, time: str) -> Trade:
    """Return a trade at a time. Raises ValueError."""
    time_us = parse_us(time)
    if not 0 <= time_us < LATEST_US:
        raise ValueError(f"{time!r} is out of range")
    return Trade(symbol, time_us // 1000, time_us)


def _kline(bar: _Bar) -> Kline:
    notional = EXACT.multiply(bar.vw, bar.v)
    return Kline(parse_us(bar.t), bar.o, bar.h, bar.l, bar.c, bar.v, notional, bar.n)


def setup(env: Environment) -> Exchange:
    """Read the exchange from the environment."""
    base = env.parsed("ALPACA_WEBSOCKET_BASE_URL", "wss://stream.data.alpaca.markets", safe_ws_url)
    symbols = env.parsed("ALPACA_SYMBOLS", "AAPL,MSFT", symbols_of)
    source = env.parsed("ALPACA_SOURCE", "iex", _source)
    key_id, secret = env.secret("ALPACA_KEY_ID"), env.secret("ALPACA_SECRET_KEY")
    credentials = Credentials(key_id, secret)
    rest = env.parsed("ALPACA_REST_BASE_URL", "https://data.alpaca.markets", safe_http_url)
    is_paper = key_id.startswith("PK")
    trading = "https://paper-api.alpaca.markets" if is_paper else "https://api.alpaca.markets"
    trading = env.parsed("ALPACA_TRADING_BASE_URL", trading, safe_http_url)
    client = Rest("alpaca", rest, SPACING_S, credentials.headers)
    return Alpaca(base, trading, symbols, source, credentials, client)


def _source(text: str) -> str:
    if text not in SOURCES:
        raise ValueError(f"{text!r} must be one of {', '.join(SOURCES)}")
    return text
