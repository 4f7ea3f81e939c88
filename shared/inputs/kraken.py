"""Kraken's second WebSocket: channel `trade` to ticks, `ticker` to quotes.

Source: Kraken, "WebSocket API v2", Trades and Ticker (Level 1). A message holds a list; prices and
sizes are JSON numbers, read as the text that stands there. `side` is the taker's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec

from shared.inputs.element_feed import ElementFeed, Unread
from shared.inputs.elements import BUY, NO_TRADE_ID, SELL, UNKNOWN, QuoteElement, TradeElement
from shared.inputs.feed_columns import Count, Moment, moment_us
from shared.inputs.feed_rows import Feed, Fields
from shared.inputs.messages import NOTHING, text_of
from shared.market.instruments import Venue

FEED: Final = Feed(
    Venue.KRAKEN,
    Fields("symbol", size="qty", time="timestamp", bid_size="bid_qty", ask_size="ask_qty"),
)

_SKIPPED: Final = frozenset({"heartbeat", "status", "book", "ohlc", "instrument", "level3"})
_SIDES: Final = {"buy": BUY, "sell": SELL}


class _Element(msgspec.Struct, gc=False):
    """A trade or a ticker."""

    symbol: str = ""
    side: str = ""
    price: msgspec.Raw = NOTHING
    qty: msgspec.Raw = NOTHING
    trade_id: Count = NO_TRADE_ID
    timestamp: Moment | None = None
    bid: msgspec.Raw = NOTHING
    ask: msgspec.Raw = NOTHING
    bid_qty: msgspec.Raw = NOTHING
    ask_qty: msgspec.Raw = NOTHING


class _Message(msgspec.Struct, gc=False):
    channel: str = ""
    data: list[msgspec.Raw] = []


_element: Final = msgspec.json.Decoder(_Element).decode


def _elements(message: _Message) -> list[Unread] | str:
    if message.channel not in _READ:
        return f"channel {message.channel[:40]!r} is not known"
    read = _READ[message.channel]
    return [(read, raw) for raw in message.data]


def _read_trade(raw: msgspec.Raw) -> TradeElement:
    item = _element(raw)
    side = _SIDES.get(item.side, UNKNOWN)
    return TradeElement(
        item.symbol,
        text_of(item.price),
        text_of(item.qty),
        moment_us(item.timestamp),
        side,
        item.trade_id,
    )


def _read_quote(raw: msgspec.Raw) -> QuoteElement:
    item = _element(raw)
    sizes = text_of(item.bid_qty), text_of(item.ask_qty)
    return QuoteElement(
        item.symbol, text_of(item.bid), text_of(item.ask), *sizes, moment_us(item.timestamp)
    )


_READ: Final[Mapping[str, Callable[[msgspec.Raw], TradeElement | QuoteElement]]] = {
    "trade": _read_trade,
    "ticker": _read_quote,
}


def _kind_of(message: Any) -> str:
    """Name a skipped message: by its channel, or as a response."""
    if not isinstance(message, dict):
        return ""
    channel = message.get("channel", "")
    if isinstance(channel, str) and channel in _SKIPPED:
        return channel
    return "answer" if isinstance(message.get("method"), str) or "error" in message else ""


KRAKEN: Final = ElementFeed(FEED, msgspec.json.Decoder(_Message).decode, _elements, _kind_of)
