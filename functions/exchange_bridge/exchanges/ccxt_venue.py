"""Adapter from ccxt to the bridge's interface: trades, gaps and history of any venue."""

from __future__ import annotations

import contextlib
import math
import time
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
    weighted_kline,
)
from functions.exchange_bridge.exchanges.ccxt_client import CcxtClient
from functions.exchange_bridge.exchanges.ccxt_venues import CONTIGUOUS
from functions.exchange_bridge.rest import RestError, UnfillableError
from shared.market.instruments import CCXT
from shared.wire.feed_status import FeedState
from shared.wire.raw_batch import FORMAT_CCXT

SPAN: Final = 200
"""Candles to advance by if a venue lists none: any page is at least this long."""
REPEATED: Final = 1
"""Retries of an empty page: a cache in between may repeat the previous one."""
FRESH_S: Final = 5.0
"""Age of the markets up to which they answer for further symbols."""
AHEAD_MS: Final = 2_000
"""How far a venue's clock may be ahead of this one."""
LOOK_BACK_MS: Final = (60_000, 600_000, 3_600_000)
"""How far back to look for the preceding trade."""

_LENGTHS: Final = {60_000_000: "1m", 300_000_000: "5m", 3_600_000_000: "1h"}
_TRADE: Final = ("id", "timestamp", "symbol", "side", "price", "amount", "info")
_QUOTE: Final = ("symbol", "timestamp", "bid", "ask", "bidVolume", "askVolume", "info")


class TradePart(msgspec.Struct, gc=False):
    """Identity of a trade of ccxt."""

    symbol: str = ""
    id: str | int | None = None
    timestamp: TimeMs | None = None


class PayloadMessage(msgspec.Struct, gc=False):
    """A payload of a venue by ccxt: a trade or a quote."""

    trade: TradePart | None = None
    quote: TradePart | None = None


_ids: Final = msgspec.json.Decoder(Id).decode


class CcxtVenue(Exchange):
    """A venue by ccxt, for symbols in ccxt's notation: BTC/USDT, BTC/USDT:USDT."""

    format = FORMAT_CCXT
    decoder = msgspec.json.Decoder(PayloadMessage)

    def __init__(
        self, venue: str, symbols: Sequence[str], rest_base_url: str, websocket_base_url: str
    ) -> None:
        options = CONTIGUOUS.get(venue, {})
        self.client = CcxtClient(venue, symbols, options, rest_base_url, websocket_base_url)
        super().__init__("", (), self.client)
        self.symbols = tuple(symbols)  # their case matters
        self.name = f"{CCXT}:{venue}"
        self.venue = self.name
        self.contiguous = venue in CONTIGUOUS
        self.without_ids: dict[str, int] = {}
        """Symbols whose trades have no ids, with the newest time (ms) that is not in the future."""
        self._loaded_s = -math.inf
        timeframes = self.client.sdk.timeframes or {}
        fetched = {us: name for us, name in _LENGTHS.items() if name in timeframes}
        has_candles = bool(self.client.sdk.has.get("fetchOHLCV"))
        self.intervals = MappingProxyType(fetched if has_candles else {})

    def _message(self, message: PayloadMessage) -> Message:
        """Classify a payload of `trade_payload` or `quote_payload`."""
        if message.quote is not None:
            return Message(Kind.QUOTE, message.quote.symbol)
        trade = message.trade
        if trade is None or not trade.symbol or trade.timestamp is None:
            return Message(Kind.UNREADABLE)
        return self._of_trade(trade.symbol, trade.id, trade.timestamp, self._count(trade))

    def _count(self, trade: TradePart) -> int:
        """Return the number of trades that a message covers, up to its id."""
        return 1

    def _of_trade(self, symbol: str, id_: str | int | None, time_ms: int, count: int) -> Message:
        if id_ is None:
            is_past = time_ms <= time.time() * 1_000 + AHEAD_MS
            self.without_ids[symbol] = max(self.without_ids.get(symbol, 0), is_past * time_ms)
        elif self.without_ids:
            self.without_ids.pop(symbol, None)
        last, time_us = self._id(id_, time_ms), time_ms * 1000
        if last is None:
            return Message(Kind.TRADE, symbol, sent_us=time_us)
        ids = range(max(last - count + 1, 0), last + 1)
        trades = tuple(Trade(symbol, each, time_us) for each in ids)
        return Message(Kind.TRADE, symbol, trades, sent_us=time_us)

    def _id(self, id_: str | int | None, time_ms: int) -> int | None:
        if not self.contiguous:
            return time_ms
        try:
            return _ids(str(id_).encode())
        except msgspec.DecodeError:
            return None

    def trade_payload(self, trade: Mapping[str, Any], backfill: str = "") -> bytes:
        """Return the payload of a ccxt trade, which includes the venue's own message."""
        part = {name: trade.get(name) for name in _TRADE}
        whole = {"ccxt": self.client.venue, "trade": part}
        if backfill:
            whole["backfill"] = backfill
        return orjson.dumps(whole, default=str)

    def quote_payload(self, ticker: Mapping[str, Any]) -> bytes | None:
        """Return the payload of a ccxt ticker; None without bid or ask."""
        if not (ticker.get("bid") and ticker.get("ask")):
            return None
        part = {name: ticker.get(name) for name in _QUOTE}
        return orjson.dumps({"ccxt": self.client.venue, "quote": part}, default=str)

    async def missing(self, symbol: str, first: Trade, last: Trade) -> AsyncIterator[Fetched]:
        """Yield pages from the trade before the first one, as far as each is a proof.

        Venues may list their newest trades whatever is requested: a page covers the range since its
        first trade only if that trade is known. Raises RestError, UnfillableError.
        """
        unfillable = UnfillableError(
            f"trades of {symbol} have no ids: fetched ones could count twice", is_final=True
        )
        if symbol in self.without_ids:
            raise unfillable
        reached, since, previous_end = first.id - 1, first.time_us // 1000, -1
        if not self.contiguous:
            since = max(since, reached)
        while True:
            rows = await self._trades(symbol, since)
            identified = [(t, row) for row in rows if (t := self._trade(symbol, row)) is not None]
            if not identified:
                return
            begin, end = identified[0][0].id, identified[-1][0].id
            is_proof = begin <= (reached + 1 if self.contiguous else max(since, first.id))
            # If ids are times, more trades of the last one may be on the next page.
            reaches = min(end if self.contiguous or end == previous_end else end - 1, last.id)
            low = max(first.id, reached + 1)
            in_range = [(trade, row) for trade, row in identified if low <= trade.id <= last.id]
            if any(row["id"] is None for _, row in in_range):
                raise unfillable
            yield Fetched(
                [self.trade_payload(row, "fetch_trades") for _, row in in_range],
                [trade for trade, _ in in_range],
                reaches if is_proof else reached,
            )
            if not is_proof:
                reason = f"{self.name} lists only its newest trades of {symbol}"
                raise RestError(reason, is_final=True)
            if reaches >= last.id or end == previous_end:
                return
            reached, since, previous_end = reaches, rows[-1]["timestamp"], end

    async def klines(
        self, symbol: str, length_us: int, from_us: int, to_us: int
    ) -> AsyncIterator[list[Kline]]:
        """Yield pages, ascending; ccxt reports neither notional nor trade count."""
        name, length_ms = self.intervals[length_us], length_us // 1000
        since, repeated = from_us // 1000, 0
        while since < to_us // 1000:
            rows = await self.client.ask("fetch_ohlcv", symbol, name, since)
            later = [row[0] for row in rows if row[0] >= since]
            if not later and repeated < REPEATED:
                repeated += 1  # an earlier page, which ccxt filters out
                continue
            repeated = 0
            if later and min(later) > since:
                await self._check_none(symbol, name, since, min(later), length_ms)
            in_range = [row for row in rows if since <= row[0] < to_us // 1000]
            yield [_kline(row) for row in in_range if Decimal(row[5])]
            since = max(later) + length_ms if later else since + SPAN * length_ms

    async def _check_none(
        self, symbol: str, name: str, from_ms: int, to_ms: int, length_ms: int
    ) -> None:
        """Raise RestError if there are candles before a page that starts late: it is stale."""
        count = min((to_ms - from_ms) // length_ms, SPAN)
        rows = await self.client.ask("fetch_ohlcv", symbol, name, from_ms, count)
        if any(from_ms <= row[0] < to_ms for row in rows):
            raise RestError("candles were answered without the first ones of their range")

    async def before(self, symbol: str, time_us: int) -> Trade | None:
        """Find the last trade before a time among those listed from a while earlier."""
        time_ms = time_us // 1000
        if self.contiguous:
            since = await self._trades(symbol, time_ms + 1)
            return Trade(symbol, int(since[0]["id"]) - 1, time_us) if since else None
        for back_ms in LOOK_BACK_MS:
            rows = await self._trades(symbol, time_ms - back_ms)
            earlier = [row for row in rows if row["timestamp"] < time_ms]
            if earlier and rows[-1]["timestamp"] >= time_ms:
                return self._trade(symbol, earlier[-1])
        return None

    async def listed(self, symbol: str) -> FeedState:
        """Fetch the venue's status if ccxt supports it, then all its markets."""
        if self.client.sdk.has.get("fetchStatus") is True:
            with contextlib.suppress(RestError):  # some venues require an account
                status = await self.client.ask("fetch_status")
                if status.get("status") == "maintenance":
                    return FeedState.MAINTENANCE
        is_old = time.monotonic() - self._loaded_s > FRESH_S
        markets = await self.client.ask("load_markets", is_old)
        if is_old:
            self._loaded_s = time.monotonic()
        if symbol not in markets:
            return FeedState.ENDED
        return FeedState.HALTED if markets[symbol].get("active") is False else FeedState.LIVE

    async def newest(self, symbol: str) -> Trade | None:
        """Return the last of the newest trades."""
        rows = await self._trades(symbol, None)
        return self._trade(symbol, rows[-1]) if rows else None

    def _trade(self, symbol: str, row: Mapping[str, Any]) -> Trade | None:
        id_ = self._id(row["id"], row["timestamp"])
        return None if id_ is None else Trade(symbol, id_, row["timestamp"] * 1000)

    async def _trades(self, symbol: str, since: int | None) -> list[dict[str, Any]]:
        """Return a page of trades with a time, ascending. Raises RestError."""
        rows = await self.client.ask("fetch_trades", symbol, None if since is None else since - 1)
        timed = [row for row in rows if row.get("timestamp")]
        return sorted(timed, key=lambda row: (row["timestamp"], self._order(row["id"])))

    def _order(self, id_: Any) -> int:
        return int(id_) if self.contiguous else 0


def _kline(row: Sequence[Any]) -> Kline:
    """Read time, open, high, low, close, volume."""
    open_, high, low, close, volume = (Decimal(str(each)) for each in row[1:6])
    return weighted_kline(row[0] * 1000, open_, high, low, close, volume)
