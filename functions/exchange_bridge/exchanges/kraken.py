"""Kraken: channels `trade` and `ticker` of its second WebSocket.

Sources: Kraken, "WebSocket API v2" (Trades, Ticker, heartbeat: one a second without other
messages), "Get Recent Trades" and "Get OHLC Data". Ids count the trades of a pair; REST is asked by
time, and by the name that it documents (XBTUSD for BTC/USD).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from types import MappingProxyType
from typing import Annotated, Any, Final

import msgspec
import orjson

from functions.exchange_bridge.exchange import Exchange, Fetched, Id, Kind, Kline, Message, Trade
from functions.exchange_bridge.feed_settings import http_url, symbols_of, ws_url
from functions.exchange_bridge.rest import Rest, RestError
from shared.market.decimals import EXACT
from shared.market.instruments import Venue
from shared.market.timestamps import iso_of, us_of
from shared.runtime.settings import Environment
from shared.wire.feed_status import FeedState
from shared.wire.raw_batch import FORMAT_KRAKEN

PAGE: Final = 1_000
SPACING_S: Final = 1.0
"""Public requests: about one a second and address."""

_PATH: Final = "/0/public/Trades"
_OHLC: Final = "/0/public/OHLC"
_UNKNOWN_PAIR: Final = "EQuery:Unknown asset pair"
_PASSING: Final = ("EService:", "EGeneral:Internal", "EAPI:Rate limit")
"""Errors of an outage, which come with HTTP 200."""


class _Element(msgspec.Struct, gc=False):
    symbol: str = ""
    trade_id: Id | None = None
    timestamp: Annotated[datetime, msgspec.Meta(tz=True)] | None = None


class _Result(msgspec.Struct):
    channel: str = ""
    symbol: str = ""


class _Message(msgspec.Struct, gc=False):
    channel: str = ""
    type: str = ""
    data: list[_Element] = []
    method: str = ""
    success: bool | None = None
    error: str = ""
    result: _Result | None = None


class Kraken(Exchange):
    """Kraken spot."""

    name = "kraken"
    venue = Venue.KRAKEN
    format = FORMAT_KRAKEN
    decoder = msgspec.json.Decoder(_Message)
    channels = ("trade", "ticker")
    heartbeats = True
    counts_trades = True
    intervals: Mapping[int, str] = MappingProxyType(
        {60_000_000: "1", 300_000_000: "5", 3_600_000_000: "60"}
    )

    def requests(self) -> Sequence[str]:
        """Return a subscription per channel, with a snapshot of earlier values."""
        return [
            orjson.dumps(
                {
                    "method": "subscribe",
                    "params": {
                        "channel": channel,
                        "symbol": list(self.symbols),
                        "snapshot": True,
                    },
                }
            ).decode()
            for channel in self.channels
        ]

    def _message(self, message: _Message) -> Message:
        if message.channel == "trade":
            trades = tuple(
                Trade(each.symbol, each.trade_id, us_of(each.timestamp))
                for each in message.data
                if each.trade_id is not None and each.timestamp is not None
            )
            if message.type == "snapshot":
                # Trades before this connection, if any; if the newest is missing, it is fetched.
                newest = max(trades, key=lambda trade: trade.id, default=None)
                return Message(Kind.HEARTBEAT, last=newest)
            if not trades or len(trades) < len(message.data):
                return Message(Kind.UNREADABLE)
            newest_us = max(trade.time_us for trade in trades)
            return Message(Kind.TRADE, trades[0].symbol, trades, sent_us=newest_us)
        if message.channel == "ticker":
            return Message(Kind.QUOTE, message.data[0].symbol if message.data else "")
        if message.channel in ("heartbeat", "status"):
            return Message(Kind.HEARTBEAT)
        if message.success is False or message.error:
            return Message(Kind.ERROR, detail=message.error or "refused")
        if message.method == "subscribe" and message.result is not None:
            result = message.result
            return Message(
                Kind.CONFIRMATION, confirmed=frozenset({f"{result.channel} {result.symbol}"})
            )
        return Message(Kind.OTHER if message.channel or message.method else Kind.UNREADABLE)

    async def missing(self, symbol: str, first: Trade, last: Trade) -> AsyncIterator[Fetched]:
        """Yield pages, ascending, from the time of the trade before the first one on."""
        reached, since, pair = -1, str(first.time_us * 1000 - 1), rest_pair(symbol)
        while True:
            body = await self.rest.get(_PATH, {"pair": pair, "since": since, "count": PAGE})
            rows = _rows(_PATH, body)
            in_range = [row for row in rows if max(first.id, reached + 1) <= row[6] <= last.id]
            reaches = max((row[6] for row in rows), default=reached)
            yield Fetched(
                [orjson.dumps(_update(symbol, row)) for row in in_range],
                [Trade(symbol, row[6], round(row[2] * 1e6)) for row in in_range],
                reaches,
            )
            if reaches >= last.id or reaches <= reached:
                return
            # Again from the last row's time: a page may end between trades of equal time.
            reached, since = reaches, str(int(body["result"]["last"]) - 1)

    async def klines(
        self, symbol: str, length_us: int, from_us: int, to_us: int
    ) -> AsyncIterator[list[Kline]]:
        """Yield a page: the exchange lists only its last 720 candles."""
        parameters: dict[str, str | int] = {
            "pair": rest_pair(symbol),
            "interval": self.intervals[length_us],
            "since": from_us // 1_000_000 - 1,
        }
        body = await self.rest.get(_OHLC, parameters)
        klines = [_kline(row) for row in _rows(_OHLC, body) if row[7]]
        yield [each for each in klines if from_us <= each.start_us < to_us]

    async def before(self, symbol: str, time_us: int) -> Trade | None:
        """Fetch the first trade since."""
        since = str(time_us * 1000 - 1)
        body = await self.rest.get(_PATH, {"pair": rest_pair(symbol), "since": since, "count": 1})
        rows = _rows(_PATH, body)
        return Trade(symbol, int(rows[0][6]) - 1, time_us) if rows else None

    async def listed(self, symbol: str) -> FeedState:
        """Fetch the exchange's status, then the pair's."""
        system = await self.rest.get("/0/public/SystemStatus", {})
        if system["result"]["status"] == "maintenance":
            return FeedState.MAINTENANCE
        body = await self.rest.get("/0/public/AssetPairs", {"pair": rest_pair(symbol)})
        if _UNKNOWN_PAIR in body["error"]:
            return FeedState.ENDED
        (pair,) = body["result"].values()
        return FeedState.HALTED if pair["status"] == "cancel_only" else FeedState.LIVE


_REST_ASSETS: Final = {"BTC": "XBT", "DOGE": "XDG"}


def rest_pair(symbol: str) -> str:
    """Return the REST name of a pair, its `altname`: without a slash, BTC as XBT."""
    return "".join(_REST_ASSETS.get(part, part) for part in symbol.split("/"))


def _rows(path: str, body: dict[str, Any]) -> list[list[Any]]:
    """Return the rows of the pair, whatever name the response uses. Raises RestError."""
    if body.get("error"):
        is_final = not any(each.startswith(_PASSING) for each in body["error"])
        raise RestError(f"{path}: {', '.join(body['error'])}", is_final=is_final)
    lists = [rows for name, rows in body["result"].items() if name != "last"]
    return lists[0] if lists else []


def _kline(row: list[Any]) -> Kline:
    """Read time, OHLC, VWAP, volume, trades; prices and sizes are texts."""
    open_, high, low, close, vwap, volume = map(Decimal, row[1:7])
    notional = EXACT.multiply(vwap, volume)
    return Kline(int(row[0]) * 1_000_000, open_, high, low, close, volume, notional, int(row[7]))


_SIDES: Final = {"b": "buy", "s": "sell"}
_TYPES: Final = {"m": "market", "l": "limit"}


def _update(symbol: str, row: list[Any]) -> dict[str, Any]:
    """Return the message equivalent to a row; prices are text in REST, numbers there."""
    price, size, seconds, side, type_, _, id_ = row[:7]
    element = {
        "symbol": symbol,
        "side": _SIDES.get(side, ""),
        "price": orjson.Fragment(price),
        "qty": orjson.Fragment(size),
        "ord_type": _TYPES.get(type_, ""),
        "trade_id": id_,
        "timestamp": iso_of(round(seconds * 1e6)),
    }
    return {"channel": "trade", "type": "update", "data": [element], "backfill": _PATH}


def setup(env: Environment) -> Exchange:
    """Read the exchange from the environment."""
    base = env.parsed("KRAKEN_WEBSOCKET_BASE_URL", "wss://ws.kraken.com", ws_url)
    symbols = env.parsed("KRAKEN_SYMBOLS", "BTC/USD,ETH/USD", symbols_of)
    rest = env.parsed("KRAKEN_REST_BASE_URL", "https://api.kraken.com", http_url)
    return Kraken(f"{base.rstrip('/')}/v2", symbols, Rest("kraken", rest, SPACING_S))
