"""Binance's streams, spot and futures: `trade` or `aggTrade` to ticks, `bookTicker` to quotes.

Source: Binance, "WebSocket Streams for Binance" (Trade Streams, Aggregate Trade Streams, Individual
Symbol Book Ticker Streams): bare, or wrapped by a combined stream as `{"stream", "data"}`.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any, Final

import msgspec

from shared.inputs.feed_columns import LARGEST_ID, NO_TIME
from shared.inputs.feed_rows import (
    BUY,
    NO_TRADE_ID,
    SELL,
    UNKNOWN,
    Feed,
    Fields,
    QuoteColumns,
    Trades,
    quote_rows,
    trade_rows,
)
from shared.inputs.messages import Messages, payload_at
from shared.inputs.parsed import BinanceTrades, FeedRules, Parsed
from shared.market.instruments import Venue
from shared.wire.quotes import NOT_GIVEN
from shared.wire.raw_batch import RawBatch

_Count = Annotated[int, msgspec.Meta(ge=0, le=LARGEST_ID)]

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
    T: _Count | None = None
    t: _Count = NO_TRADE_ID
    m: bool | None = None
    a: _Count | str | list[msgspec.Raw] = ""
    b: _Count | str | list[msgspec.Raw] = ""
    A: str = ""
    B: str = ""
    u: _Count = NOT_GIVEN
    X: str = _MARKET


class _Message(_Event, gc=False):
    """An event, bare or wrapped in a combined stream's message."""

    data: _Event | None = None


_decode: Final = msgspec.json.Decoder(_Message).decode


def parse_binance(batch: RawBatch, rules: FeedRules, feed: Feed = FEED) -> Parsed:
    """Parse every message of the batch."""
    messages = Messages(batch, _decode, _kind_of)
    stream, numbers = rules.binance_trades, messages.numbers
    events = [message.data or message for message in messages.decoded]
    trades = [i for i, event in enumerate(events) if event.e == stream and event.X == _MARKET]
    books = [i for i, event in enumerate(events) if _is_book(event)]
    if len(trades) + len(books) < len(events):
        _skip_others(messages, events, stream)

    def original(payload: int, line: int) -> bytes:
        return payload_at(batch, payload)

    trade_columns = _trades([numbers[i] for i in trades], [events[i] for i in trades], stream)
    quotes = _quotes([numbers[i] for i in books], [events[i] for i in books])
    rows, bad_trades = trade_rows(feed, rules.naming, trade_columns, original)
    quoted, bad_quotes = quote_rows(feed, rules.naming, quotes, original)
    return Parsed(rows, messages.rejected + bad_trades + bad_quotes, quoted, messages.skipped)


def _is_book(event: _Event) -> bool:
    """Spot's book tickers have no event field."""
    return event.e == "bookTicker" or (not event.e and event.u != NOT_GIVEN and bool(event.s))


def _skip_others(messages: Messages[_Message], events: list[_Event], stream: BinanceTrades) -> None:
    for number, event in zip(messages.numbers, events, strict=True):
        kind = event.e
        if kind == stream and event.X == _MARKET:
            continue
        if kind == stream:
            # Futures also report trades of the insurance fund, which have no market price.
            messages.skipped["not_market"] += 1
        elif kind in _SKIPPED:
            messages.skipped[kind] += 1
        elif kind in (BinanceTrades.TRADES, BinanceTrades.AGGREGATES):
            messages.reject(number, "other_trade_stream", _OTHER_STREAM.format(kind, stream))
        elif not _is_book(event):
            messages.leave(number, f"event {kind[:40]!r} is not known")


_OTHER_STREAM: Final = (
    "{} where BINANCE_TRADES={} counts: both are the same trades under other ids, so only one of"
    " them may; subscribe to that one"
)


def _trades(numbers: list[int], events: list[_Event], stream: BinanceTrades) -> Trades:
    if stream is BinanceTrades.TRADES:
        ids = [event.t for event in events]
    else:
        ids = [event.a if type(event.a) is int else NO_TRADE_ID for event in events]
    return Trades(
        numbers,
        [0] * len(numbers),
        [event.s for event in events],
        [event.p for event in events],
        [event.q for event in events],
        [NO_TIME if event.T is None else event.T for event in events],
        [_SIDES[event.m] for event in events],
        ids,
    )


def _quotes(numbers: list[int], events: list[_Event]) -> QuoteColumns:
    return QuoteColumns(
        numbers,
        [0] * len(numbers),
        [event.s for event in events],
        [event.b if isinstance(event.b, str) else "" for event in events],
        [event.a if isinstance(event.a, str) else "" for event in events],
        [event.B for event in events],
        [event.A for event in events],
        [NO_TIME if event.T is None else event.T for event in events],
        [event.u for event in events],
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
