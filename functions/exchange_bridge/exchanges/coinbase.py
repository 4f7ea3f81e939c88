"""Coinbase Exchange: `matches`, `ticker` and `heartbeat`.

Sources: Coinbase, "Exchange WebSocket Channels", "Get product trades" and "Get product candles".
Trade ids of a product are contiguous, and each heartbeat, one a second, names the last one: so a
trade that is missing is noticed in a quiet market too. `sequence` counts the messages of a channel
that is not subscribed, so its holes say nothing here.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from types import MappingProxyType
from typing import Annotated, Final

import msgspec
import orjson

from functions.exchange_bridge.exchange import (
    Exchange,
    Fetched,
    Id,
    Kind,
    Kline,
    Message,
    Trade,
    weighted_kline,
    within,
)
from functions.exchange_bridge.feed_settings import http_url, symbols_of, ws_url
from functions.exchange_bridge.rest import Rest, RestError
from shared.market.instruments import Venue
from shared.market.timestamps import parse_us, us_of
from shared.runtime.settings import Environment
from shared.wire.feed_status import FeedState
from shared.wire.raw_batch import FORMAT_COINBASE

PAGE: Final = 1_000
SPACING_S: Final = 0.15
"""10 public requests a second and address are allowed."""


class _Channel(msgspec.Struct):
    name: str = ""
    product_ids: list[str] = []


class _Message(msgspec.Struct, gc=False):
    type: str = ""
    product_id: str = ""
    trade_id: Id | None = None
    last_trade_id: Id | None = None
    time: Annotated[datetime, msgspec.Meta(tz=True)] | None = None
    message: str = ""
    reason: str = ""
    channels: list[_Channel] = []


KLINES_PAGE: Final = 300

_decode_rows: Final = msgspec.json.Decoder(list[list[Decimal]]).decode


class Coinbase(Exchange):
    """Coinbase Exchange."""

    name = "coinbase"
    venue = Venue.COINBASE
    format = FORMAT_COINBASE
    decoder = msgspec.json.Decoder(_Message)
    channels = ("matches", "ticker", "heartbeat")
    heartbeats = True
    intervals: Mapping[int, str] = MappingProxyType(
        {60_000_000: "60", 300_000_000: "300", 3_600_000_000: "3600"}
    )

    def requests(self) -> Sequence[str]:
        """Return the subscription; without one the exchange hangs up after 5 seconds."""
        request = {
            "type": "subscribe",
            "product_ids": list(self.symbols),
            "channels": list(self.channels),
        }
        return [orjson.dumps(request).decode()]

    def _message(self, message: _Message) -> Message:
        symbol, kind = message.product_id, message.type
        sent_us = 0 if message.time is None else us_of(message.time)
        if kind == "match" and message.trade_id is not None:
            trade = Trade(symbol, message.trade_id, sent_us)
            return Message(Kind.TRADE, symbol, (trade,), sent_us=sent_us or None)
        if kind == "ticker":
            # Its time is the last trade's, which may be long ago.
            return Message(Kind.QUOTE, symbol)
        if kind == "heartbeat":
            last = message.last_trade_id
            return Message(
                Kind.HEARTBEAT,
                symbol,
                last=None if last is None else Trade(symbol, last, sent_us),
                sent_us=sent_us or None,
            )
        if kind == "last_match" and message.trade_id is not None:
            # The newest trade at subscription time; if it is missing, it is fetched.
            return Message(Kind.HEARTBEAT, symbol, last=Trade(symbol, message.trade_id, sent_us))
        if kind == "subscriptions":
            confirmed = {
                f"{channel.name} {each}"
                for channel in message.channels
                for each in channel.product_ids
            }
            return Message(Kind.CONFIRMATION, confirmed=frozenset(confirmed))
        if kind == "error":
            return Message(Kind.ERROR, detail=f"{message.message}: {message.reason}".rstrip(": "))
        return Message(Kind.OTHER if kind else Kind.UNREADABLE, symbol)

    async def missing(self, symbol: str, first: Trade, last: Trade) -> AsyncIterator[Fetched]:
        """Yield pages, the newest trades first, by the cursor `after`."""
        after, newest = last.id + 1, first.id - 1
        path = f"/products/{symbol}/trades"
        while after > first.id:
            rows = await self.rest.get(path, {"after": after, "limit": PAGE})
            ids = [int(row["trade_id"]) for row in rows]
            lowest = min(ids, default=None)
            newest = max(newest, *ids) if ids else newest
            # Below the lowest id nothing is known yet; once that is below the range, all is
            # known.
            done = lowest is not None and lowest <= first.id
            in_range = [row for row in rows if first.id <= int(row["trade_id"]) <= last.id]
            yield Fetched(
                [orjson.dumps(_match(symbol, path, row)) for row in in_range],
                [Trade(symbol, int(row["trade_id"]), parse_us(row["time"])) for row in in_range],
                newest if done else first.id - 1,
            )
            if lowest is None or lowest >= after:
                return
            after = lowest

    async def klines(
        self, symbol: str, length_us: int, from_us: int, to_us: int
    ) -> AsyncIterator[list[Kline]]:
        """Yield pages of at most 300 intervals, the exchange's limit."""
        granularity = self.intervals[length_us]
        while from_us < to_us:
            until_us = min(from_us + KLINES_PAGE * length_us, to_us)
            parameters = {
                "granularity": granularity,
                "start": str(from_us // 1_000_000),
                "end": str((until_us - length_us) // 1_000_000),  # of the last start
            }
            rows = await self.rest.get(f"/products/{symbol}/candles", parameters, _decode_rows)
            yield within(map(_kline, rows), from_us, until_us)
            from_us = until_us

    async def before(self, symbol: str, time_us: int) -> Trade | None:
        """Binary search with the cursor, which takes any id: ids ascend with time."""
        path = f"/products/{symbol}/trades"

        async def last(after: int | None) -> Trade | None:
            cursor: dict[str, str | int] = {} if after is None else {"after": after}
            rows = await self.rest.get(path, {**cursor, "limit": 1})
            if not rows:
                return None
            return Trade(symbol, int(rows[0]["trade_id"]), parse_us(rows[0]["time"]))

        newest = await last(None)
        if newest is None or newest.time_us < time_us:
            return None
        low, high, step = 0, newest.id, PAGE  # `high` is at the time or later, `low` before it
        while low < high - 1:
            middle = max(high - step, low + 1)
            trade = await last(middle + 1)
            if trade is None or trade.time_us < time_us:
                low, step = middle, max((high - middle) // 2, 1)
            else:
                high, step = trade.id, step * 2 if low == 0 else max((trade.id - low) // 2, 1)
        return Trade(symbol, high - 1, time_us)

    async def listed(self, symbol: str) -> FeedState:
        """Fetch the product: delisted ones are marked or not found."""
        try:
            product = await self.rest.get(f"/products/{symbol}", {})
        except RestError as error:
            if error.status == 404:
                return FeedState.ENDED
            raise
        if product["status"] == "delisted":
            return FeedState.ENDED
        is_traded = product["status"] == "online" and not product.get("trading_disabled")
        return FeedState.LIVE if is_traded else FeedState.HALTED


def _match(symbol: str, path: str, row: dict[str, object]) -> dict[str, object]:
    """Return the message equivalent to the row; the side is the maker's in both."""
    names = ("trade_id", "side", "size", "price", "time")
    fields = {name: row[name] for name in names}
    return {"type": "match", "product_id": symbol, **fields, "backfill": path}


def _kline(row: list[Decimal]) -> Kline:
    """Parse time, low, high, open, close, volume."""
    start_s, low, high, open_, close, volume = row[:6]
    return weighted_kline(int(start_s) * 1_000_000, open_, high, low, close, volume)


def setup(env: Environment) -> Exchange:
    """Read the exchange from the environment."""
    url = env.parsed("COINBASE_WEBSOCKET_BASE_URL", "wss://ws-feed.exchange.coinbase.com", ws_url)
    symbols = env.parsed("COINBASE_SYMBOLS", "BTC-USD,ETH-USD", symbols_of)
    rest = env.parsed("COINBASE_REST_BASE_URL", "https://api.exchange.coinbase.com", http_url)
    return Coinbase(url, symbols, Rest("coinbase", rest, SPACING_S))
