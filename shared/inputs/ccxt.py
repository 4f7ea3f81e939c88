"""Trades and quotes that ccxt read, one a payload: `trade` to ticks, `quote` to quotes.

Source: ccxt, "Manual", Trade Structure and Ticker Structure. Numbers are the texts that the venue
wrote; `info` is its own message. `side` is the taker's. A batch is of one venue.
"""

from __future__ import annotations

import re
from functools import partial
from typing import Any, Final

import msgspec

from shared.inputs.element_feed import ElementFeed
from shared.inputs.elements import BUY, NO_TIME, SELL, UNKNOWN, QuoteElement, TradeElement
from shared.inputs.feed_rows import Feed, Fields
from shared.inputs.messages import Messages
from shared.inputs.parsed import FeedRules, Parsed
from shared.market.instruments import CCXT
from shared.wire.raw_batch import RawBatch

_FIELDS: Final = Fields(
    "symbol", size="amount", time="timestamp", trade_id="id",
    bid_size="bidVolume", ask_size="askVolume",
)  # fmt: skip
_SIDES: Final = {"buy": BUY, "sell": SELL}
_VENUE: Final = re.compile(r"[a-z][a-z0-9]*")


class _Trade(msgspec.Struct, gc=False):
    symbol: str
    price: str
    amount: str
    id: str | int | None = None
    timestamp: int | None = None
    side: str | None = None


class _Quote(msgspec.Struct, gc=False):
    symbol: str
    bid: str
    ask: str
    bidVolume: str | None = None  # noqa: N815 - ccxt's name
    askVolume: str | None = None  # noqa: N815
    timestamp: int | None = None


class _Message(msgspec.Struct, gc=False):
    ccxt: str
    trade: _Trade | None = None
    quote: _Quote | None = None


_decode: Final = msgspec.json.Decoder(_Message).decode


def parse_ccxt(batch: RawBatch, rules: FeedRules) -> Parsed:
    """Parse every message."""
    messages = Messages(batch, _decode, _kind_of)
    venue = next((each.ccxt for each in messages.decoded), "")
    feed = Feed(f"{CCXT}:{venue}", _FIELDS, trade_ids=False, sides=False, text_ids=True)
    elements = partial(_elements, venue if _VENUE.fullmatch(venue) else None)
    return ElementFeed(feed, _decode, elements, _kind_of).parsed(messages, rules)


def _elements(venue: str | None, message: _Message) -> TradeElement | QuoteElement | str:
    if message.ccxt != venue:
        return f"ccxt {message.ccxt[:40]!r} is no venue here"
    if message.trade is not None:
        return _read_trade(message.trade)
    if message.quote is not None:
        return _read_quote(message.quote)
    return "neither trade nor quote is there"


def _read_trade(trade: _Trade) -> TradeElement:
    time = NO_TIME if trade.timestamp is None else trade.timestamp
    side = _SIDES.get(trade.side or "", UNKNOWN)
    trade_id = "" if trade.id is None else str(trade.id)
    return TradeElement(trade.symbol, trade.price, trade.amount, time, side, trade_id)


def _read_quote(quote: _Quote) -> QuoteElement:
    time = NO_TIME if quote.timestamp is None else quote.timestamp
    sizes = quote.bidVolume or "", quote.askVolume or ""
    return QuoteElement(quote.symbol, quote.bid, quote.ask, *sizes, time)


def _kind_of(message: Any) -> str:
    """Return nothing: no message is skipped."""
    return ""
