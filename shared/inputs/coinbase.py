"""Coinbase Exchange: `match` and `last_match` to ticks, `ticker` to quotes.

Source: Coinbase, "Exchange WebSocket Channels" (Matches Channel, Ticker Channel). A match's `side`
is that of the maker's order, so the aggressor's is the other; a ticker's trade is a match as well.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from shared.inputs.element_feed import ElementFeed
from shared.inputs.elements import BUY, NO_TRADE_ID, SELL, UNKNOWN, QuoteElement, TradeElement
from shared.inputs.feed_columns import Count, Moment, moment_us
from shared.inputs.feed_rows import Feed, Fields
from shared.market.instruments import Venue
from shared.wire.quotes import NOT_GIVEN

FEED: Final = Feed(
    Venue.COINBASE,
    Fields(
        "product_id",
        bid="best_bid",
        ask="best_ask",
        bid_size="best_bid_size",
        ask_size="best_ask_size",
    ),
)

_MATCHES: Final = frozenset({"match", "last_match"})
_SKIPPED: Final = frozenset(
    {
        *("heartbeat", "subscriptions", "error", "status", "snapshot", "l2update", "auction"),
        *("received", "open", "done", "change", "activate", "rfq_match", "level2", "balance"),
    }
)
_AGGRESSOR: Final = {"sell": BUY, "buy": SELL}
"""Aggressor side by the maker's side."""


class _Message(msgspec.Struct, gc=False):
    type: str = ""
    product_id: str = ""
    price: str = ""
    size: str = ""
    side: str = ""
    trade_id: Count = NO_TRADE_ID
    sequence: Count = NOT_GIVEN
    time: Moment | None = None
    best_bid: str = ""
    best_ask: str = ""
    best_bid_size: str = ""
    best_ask_size: str = ""


def _read(message: _Message) -> TradeElement | QuoteElement | str:
    if message.type in _MATCHES:
        side = _AGGRESSOR.get(message.side, UNKNOWN)
        return TradeElement(
            *(message.product_id, message.price, message.size, moment_us(message.time)),
            *(side, message.trade_id),
        )
    if message.type == "ticker":
        sizes = message.best_bid_size, message.best_ask_size
        return QuoteElement(
            *(message.product_id, message.best_bid, message.best_ask, *sizes),
            *(moment_us(message.time), message.sequence),
        )
    return f"type {message.type[:40]!r} is not known"


def _kind_of(message: Any) -> str:
    kind = message.get("type", "") if isinstance(message, dict) else ""
    return kind if isinstance(kind, str) and kind in _SKIPPED else ""


COINBASE: Final = ElementFeed(FEED, msgspec.json.Decoder(_Message).decode, _read, _kind_of)
