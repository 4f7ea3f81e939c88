"""Binance spot: combined streams of `aggTrade` or `trade`, and `bookTicker`.

Sources: Binance, "WebSocket Streams" (combined streams, live subscribing, limits: 24 hours a
connection, 5 messages a second to the server, 1024 streams) and "REST API" (`aggTrades`,
`historicalTrades`, `klines`).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from decimal import Decimal
from types import MappingProxyType
from typing import Any, Final

import msgspec
import orjson

from functions.exchange_bridge.exchange import (
    Exchange,
    Fetched,
    Id,
    Kind,
    Kline,
    Message,
    TimeMs,
    Trade,
)
from functions.exchange_bridge.feed_settings import http_url, symbols_of, ws_url
from functions.exchange_bridge.rest import Rest, RestError
from shared.market.instruments import Venue
from shared.runtime.settings import Environment
from shared.wire.feed_status import FeedState
from shared.wire.raw_batch import FORMAT_BINANCE

PAGE: Final = 1_000
STREAMS_A_REQUEST: Final = 200
_INVALID_SYMBOL: Final = "-1121"
SPACING_S: Final = 0.1
"""A request of 1,000 trades weighs 2 to 25 of the 6,000 allowed a minute."""

AGGREGATES: Final = "aggTrade"
TRADES: Final = "trade"
_ID: Final = {AGGREGATES: "a", TRADES: "t"}
_FETCH: Final = {AGGREGATES: "/api/v3/aggTrades", TRADES: "/api/v3/historicalTrades"}


class _Data(msgspec.Struct, gc=False):
    e: str = ""
    s: str = ""
    a: Id | str | list[msgspec.Raw] = 0
    t: Id = 0
    T: TimeMs = 0
    E: TimeMs = 0
    u: int = -1


class _Error(msgspec.Struct):
    code: int = 0
    msg: str = ""


class _Envelope(msgspec.Struct, gc=False):
    data: _Data | None = None
    id: int | None = None
    error: _Error | None = None


_KLINES: Final = "/api/v3/klines"

_decode_rows: Final = msgspec.json.Decoder(list[list[Decimal]]).decode


class Binance(Exchange):
    """Binance spot. `trades`: which of its two streams of the same trades, AGGREGATES or TRADES."""

    name = "binance"
    venue = Venue.BINANCE
    format = FORMAT_BINANCE
    decoder = msgspec.json.Decoder(_Envelope)
    intervals: Mapping[int, str] = MappingProxyType(
        {1_000_000: "1s", 60_000_000: "1m", 300_000_000: "5m", 3_600_000_000: "1h"}
    )

    def __init__(
        self, base_url: str, symbols: Sequence[str], trades: str, life_s: float, rest: Rest
    ) -> None:
        # Combined streams, none subscribed yet.
        super().__init__(f"{base_url.rstrip('/')}/stream", symbols, rest)
        self._trades = trades
        # An aggregate joins several of the trades that candles count.
        self.counts_trades = trades == TRADES
        self.life_s = life_s

    def requests(self) -> Sequence[str]:
        """Return the subscriptions; each is confirmed by its number."""
        streams = [
            f"{symbol.lower()}@{kind}"
            for symbol in self.symbols
            for kind in (self._trades, "bookTicker")
        ]
        return [
            orjson.dumps({"method": "SUBSCRIBE", "params": part, "id": number}).decode()
            for number, part in enumerate(_batched(streams), 1)
        ]

    def expected(self) -> frozenset[str]:
        """Return the numbers of the requests."""
        return frozenset(str(number) for number in range(1, len(self.requests()) + 1))

    def _message(self, message: _Envelope) -> Message:
        data = message.data
        if data is None:
            if message.error is not None:
                return Message(Kind.ERROR, detail=f"{message.error.code} {message.error.msg}")
            if message.id is not None:
                return Message(Kind.CONFIRMATION, confirmed=frozenset({str(message.id)}))
            return Message(Kind.UNREADABLE)
        sent_us = data.E * 1000 or None
        if data.e == self._trades:
            id_ = data.a if data.e == AGGREGATES else data.t
            if not isinstance(id_, int):
                return Message(Kind.UNREADABLE)
            trade = Trade(data.s, id_, data.T * 1000)
            return Message(Kind.TRADE, data.s, (trade,), sent_us=sent_us)
        if data.e == "bookTicker" or (not data.e and data.u >= 0 and data.s):
            return Message(Kind.QUOTE, data.s, sent_us=sent_us)
        return Message(Kind.OTHER, data.s, sent_us=sent_us)

    async def missing(self, symbol: str, first: Trade, last: Trade) -> AsyncIterator[Fetched]:
        """Yield pages, ascending."""
        next_id = first.id
        while next_id <= last.id:
            rows = await self._rows(symbol, next_id)
            trades = [self._trade(symbol, row) for row in rows]
            reaches = trades[-1].id if trades else next_id - 1
            in_range = [n for n, trade in enumerate(trades) if first.id <= trade.id <= last.id]
            yield Fetched(
                [self._payload(symbol, rows[n]) for n in in_range],
                [trades[n] for n in in_range],
                reaches,
            )
            if not rows:
                return  # not listed yet
            next_id = reaches + 1

    async def klines(
        self, symbol: str, length_us: int, from_us: int, to_us: int
    ) -> AsyncIterator[list[Kline]]:
        """Yield pages."""
        while from_us < to_us:
            parameters: dict[str, str | int] = {
                "symbol": symbol,
                "interval": self.intervals[length_us],
                "startTime": from_us // 1000,
                "endTime": to_us // 1000 - 1,
                "limit": PAGE,
            }
            rows = await self.rest.get(_KLINES, parameters, _decode_rows)
            starts_us = [int(row[0]) * 1000 for row in rows]
            if rows and not from_us <= starts_us[0] <= starts_us[-1] < to_us:
                raise RestError("candles of another range were answered")
            if rows and starts_us[0] > from_us:
                before = {**parameters, "endTime": starts_us[0] // 1000 - 1, "limit": 1}
                if await self.rest.get(_KLINES, before, _decode_rows):
                    raise RestError("candles were answered without the first ones of their range")
            yield [_kline(row) for row in rows if row[8]]
            if not rows:
                return
            from_us = starts_us[-1] + length_us

    async def before(self, symbol: str, time_us: int) -> Trade | None:
        """Fetch the first trade since; ids are contiguous."""
        start_ms = -(-time_us // 1000)
        rows = await self.rest.get(
            _FETCH[AGGREGATES], {"symbol": symbol, "startTime": start_ms, "limit": 1}
        )
        if not rows:
            return None
        first = rows[0]["a" if self._trades == AGGREGATES else "f"]
        return Trade(symbol, int(first) - 1, time_us)

    async def listed(self, symbol: str) -> FeedState:
        """Fetch the symbol's status; a delisted symbol is invalid."""
        try:
            body = await self.rest.get("/api/v3/exchangeInfo", {"symbol": symbol})
        except RestError as error:
            if error.status == 400 and _INVALID_SYMBOL in str(error):
                return FeedState.ENDED
            raise
        is_traded = body["symbols"][0]["status"] == "TRADING"
        return FeedState.LIVE if is_traded else FeedState.HALTED

    async def newest(self, symbol: str) -> Trade | None:
        """Return the newest trade."""
        rows = await self._rows(symbol, None)
        return self._trade(symbol, rows[-1]) if rows else None

    async def _rows(self, symbol: str, from_id: int | None) -> list[dict[str, Any]]:
        """Return trades, their fields named as in the stream."""
        parameters: dict[str, str | int] = {"symbol": symbol, "limit": PAGE}
        if from_id is None:
            parameters["limit"] = 1
        else:
            parameters["fromId"] = from_id
        body: list[dict[str, Any]] = await self.rest.get(_FETCH[self._trades], parameters)
        if self._trades == AGGREGATES:
            return body
        # `historicalTrades` spells out the names that the stream abbreviates.
        return [{_SHORT[k]: value for k, value in row.items() if k in _SHORT} for row in body]

    def _trade(self, symbol: str, row: dict[str, Any]) -> Trade:
        return Trade(symbol, int(row[_ID[self._trades]]), int(row["T"]) * 1000)

    def _payload(self, symbol: str, row: dict[str, Any]) -> bytes:
        """Return the stream message equivalent to the row; REST has no `E`."""
        data = {"e": self._trades, "s": symbol, **row}
        stream = f"{symbol.lower()}@{self._trades}"
        return orjson.dumps({"stream": stream, "data": data, "backfill": _FETCH[self._trades]})


def _kline(row: list[Decimal]) -> Kline:
    """Read open time, OHLC, volume, close time, quote volume, trades, what takers bought."""
    start_ms, open_, high, low, close, volume, _, notional, count, bought = row[:10]
    return Kline(
        *(int(start_ms) * 1000, open_, high, low, close, volume, notional, int(count), bought)
    )


_SHORT: Final = {
    "id": "t",
    "price": "p",
    "qty": "q",
    "time": "T",
    "isBuyerMaker": "m",
    "isBestMatch": "M",
}


def _batched(streams: list[str]) -> list[list[str]]:
    return [
        streams[first : first + STREAMS_A_REQUEST]
        for first in range(0, len(streams), STREAMS_A_REQUEST)
    ]


def setup(env: Environment) -> Exchange:
    """Read the exchange from the environment."""
    base = env.parsed("BINANCE_WEBSOCKET_BASE_URL", "wss://stream.binance.com:9443", ws_url)
    symbols = env.parsed("BINANCE_SYMBOLS", "BTCUSDT,ETHUSDT", symbols_of)
    trades = env.parsed("BINANCE_TRADES", AGGREGATES, _trades)
    life_s = env.integer("CONNECTION_LIFE_S", 23 * 3_600, 0, 24 * 3_600)
    key = env.text("BINANCE_API_KEY", "")
    headers = {"X-MBX-APIKEY": key} if key else {}
    rest = env.parsed("BINANCE_REST_BASE_URL", "https://api.binance.com", http_url)
    return Binance(base, symbols, trades, life_s, Rest("binance", rest, SPACING_S, headers))


def _trades(text: str) -> str:
    if text not in (AGGREGATES, TRADES):
        raise ValueError(f"{text!r} must be {AGGREGATES} or {TRADES}")
    return text
