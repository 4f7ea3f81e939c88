"""Binance's streams, spot and futures: `trade` or `aggTrade` to ticks, `bookTicker` to quotes.

Source: Binance, "WebSocket Streams for Binance" (Trade Streams, Aggregate Trade Streams, Individual
Symbol Book Ticker Streams): bare, or wrapped by a combined stream as `{"stream", "data"}`.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any, Final

import msgspec

from shared.inputs.columns.feed_columns import Count
from shared.inputs.columns.parsed import BinanceTrades, FeedRules, Parsed
from shared.inputs.text.line import RejectedLineError
from shared.inputs.venues.element_feed import ElementFeed
from shared.inputs.venues.elements import (
    BUY,
    NO_TIME,
    NO_TRADE_ID,
    SELL,
    UNKNOWN,
    LeftOut,
    QuoteElement,
    TradeElement,
)
from shared.inputs.venues.feed_rows import Feed, Fields
from shared.market.instruments import Venue
from shared.wire.quotes import NOT_GIVEN
from shared.wire.raw_batch import RawBatch

FEED: Final = Feed(
    Venue.BINANCE,
    Fields("s", "p", "q", "T", "m", "t or a", bid="b", ask="a", bid_size="B", ask_size="A"),
)

FUTURES: Final = replace(FEED, venue=Venue.BINANCE_FUTURES)

_SKIPPED: Final = frozenset(
    {
        *("depthUpdate", "kline", "continuous_kline", "24hrTicker", "24hrMiniTicker", "avgPrice"),
        *("1hTicker", "4hTicker", "1dTicker", "markPriceUpdate", "forceOrder", "serverShutdown"),
        *("referencePrice", "blockTrade"),
    }
)
_ANSWERS: Final = {"lastUpdateId": "depth", "result": "answer", "error": "error", "code": "error"}
_MARKET: Final = "MARKET"
_SIDES: Final = {True: SELL, False: BUY, None: UNKNOWN}
"""Side by `m`, whether the buyer was the maker: then the aggressor sold."""


class _Event(msgspec.Struct, gc=False):
    """The fields of all three; `a` and `b` are an id or prices, depending on the event."""

    e: str = ""
    s: str = ""
    p: str = ""
    q: str = ""
    T: Count | None = None
    t: Count = NO_TRADE_ID
    m: bool | None = None
    a: Count | str | list[msgspec.Raw] = ""
    b: Count | str | list[msgspec.Raw] = ""
    A: str = ""
    B: str = ""
    u: Count = NOT_GIVEN
    X: str = _MARKET


class _Message(_Event, gc=False):
    """An event, bare or wrapped in a combined stream's message."""

    data: _Event | None = None


_decode: Final = msgspec.json.Decoder(_Message).decode


def parse_binance(batch: RawBatch, rules: FeedRules, feed: Feed = FEED) -> Parsed:
    """Parse every message of the batch."""
    read = partial(_read, rules.binance_trades)
    return ElementFeed(feed, _decode, read, _kind_of).parse(batch, rules)


def _read(stream: BinanceTrades, message: _Message) -> TradeElement | QuoteElement | LeftOut | str:
    """Return a trade of the stream, or a quote. Raises RejectedLineError for the other stream."""
    event = message.data or message
    kind, time = event.e, NO_TIME if event.T is None else event.T
    if kind == stream:
        if event.X != _MARKET:
            # Futures also report trades of the insurance fund, which have no market price.
            return LeftOut("not_market")
        id_ = event.t if stream is BinanceTrades.TRADES else event.a
        if type(id_) is not int:
            id_ = NO_TRADE_ID
        return TradeElement(event.s, event.p, event.q, time, _SIDES[event.m], id_)
    # Spot's book tickers have no event field.
    if kind == "bookTicker" or (not kind and event.u != NOT_GIVEN and event.s):
        bid = event.b if isinstance(event.b, str) else ""
        ask = event.a if isinstance(event.a, str) else ""
        return QuoteElement(event.s, bid, ask, event.B, event.A, time, event.u)
    if kind in set(BinanceTrades):
        raise RejectedLineError("other_trade_stream", _OTHER_STREAM.format(kind, stream))
    return f"event {kind[:40]!r} is not known"


_OTHER_STREAM: Final = (
    "{} where BINANCE_TRADES={} counts: both are the same trades under other ids, so only one of"
    " them may; subscribe to that one"
)


def _kind_of(message: Any) -> str:
    """Name a skipped message: by its event, or as a response."""
    if isinstance(message, dict) and "data" in message:
        message = message["data"]
    if isinstance(message, list):  # all-market streams
        message = message[0] if message else None
    if not isinstance(message, dict):
        return ""
    event = message.get("e", "")
    if event:
        return event if isinstance(event, str) and event in _SKIPPED else ""
    return next((kind for field, kind in _ANSWERS.items() if field in message), "")
