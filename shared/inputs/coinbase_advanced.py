"""Coinbase Advanced Trade: channel `market_trades` to ticks, `ticker` to quotes.

Source: Coinbase, "Advanced Trade WebSocket Channels" (Market Trades Channel, Ticker Channel). A
trade's `side` is the maker's, so the aggressor's is the other.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from shared.inputs.element_feed import NOT_KNOWN, ElementFeed, Unread
from shared.inputs.elements import BUY, NO_TIME, SELL, UNKNOWN, QuoteElement, TradeElement
from shared.inputs.feed_rows import Feed, Fields
from shared.inputs.line import time_of
from shared.market.instruments import Venue

FEED: Final = Feed(
    Venue.COINBASE,
    Fields(
        "product_id",
        bid="best_bid",
        ask="best_ask",
        bid_size="best_bid_quantity",
        ask_size="best_ask_quantity",
    ),
    text_ids=True,
)

_SKIPPED: Final = frozenset(
    {
        *("heartbeats", "subscriptions", "status", "l2_data", "level2", "candles", "user"),
        *("ticker_batch", "futures_balance_summary"),
    }
)
_AGGRESSOR: Final = {"SELL": BUY, "BUY": SELL}
"""Aggressor side by the maker's side."""


class _Trade(msgspec.Struct, gc=False):
    product_id: str = ""
    price: str = ""
    size: str = ""
    side: str = ""
    time: str = ""
    trade_id: str = ""


class _Ticker(msgspec.Struct, gc=False):
    product_id: str = ""
    best_bid: str = ""
    best_ask: str = ""
    best_bid_quantity: str = ""
    best_ask_quantity: str = ""


class _Event(msgspec.Struct, gc=False):
    trades: list[msgspec.Raw] = []
    tickers: list[msgspec.Raw] = []


class _Message(msgspec.Struct, gc=False):
    channel: str = ""
    timestamp: str = ""
    events: list[_Event] = []


_trade: Final = msgspec.json.Decoder(_Trade).decode
_ticker: Final = msgspec.json.Decoder(_Ticker).decode


def _elements(message: _Message) -> list[Unread] | str:
    if message.channel == "market_trades":
        return [(_read_trade, raw) for event in message.events for raw in event.trades]
    if message.channel != "ticker":
        return NOT_KNOWN

    def read(raw: msgspec.Raw) -> QuoteElement:
        ticker = _ticker(raw)
        time = time_of("timestamp", message.timestamp) if message.timestamp else NO_TIME
        return QuoteElement(
            ticker.product_id,
            ticker.best_bid,
            ticker.best_ask,
            ticker.best_bid_quantity,
            ticker.best_ask_quantity,
            time,
        )

    return [(read, raw) for event in message.events for raw in event.tickers]


def _read_trade(raw: msgspec.Raw) -> TradeElement:
    trade = _trade(raw)
    side = _AGGRESSOR.get(trade.side, UNKNOWN)
    time = time_of("time", trade.time) if trade.time else NO_TIME
    return TradeElement(trade.product_id, trade.price, trade.size, time, side, trade.trade_id)


def _kind_of(message: Any) -> str:
    if not isinstance(message, dict):
        return ""
    channel = message.get("channel", "")
    if isinstance(channel, str) and channel in _SKIPPED:
        return channel
    return "error" if message.get("type") == "error" else ""


COINBASE_ADVANCED: Final = ElementFeed(
    FEED, msgspec.json.Decoder(_Message).decode, _elements, _kind_of
)
