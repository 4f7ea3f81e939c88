"""Kraken's second WebSocket: channel `trade` to ticks, `ticker` to quotes.

Source: Kraken, "WebSocket API v2", Trades and Ticker (Level 1). A message holds a list; prices and
sizes are JSON numbers, read as the text that stands there. `side` is the taker's.
"""

from __future__ import annotations

from datetime import datetime
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
from shared.inputs.parsed import FeedRules, Parsed
from shared.inputs.raw_values import NOTHING, text_of
from shared.market.instruments import Venue
from shared.market.timestamps import us_of
from shared.wire.quotes import NOT_GIVEN
from shared.wire.raw_batch import RawBatch

_Count = Annotated[int, msgspec.Meta(ge=0, le=LARGEST_ID)]
_Moment = Annotated[datetime, msgspec.Meta(tz=True)]

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
    trade_id: _Count = NO_TRADE_ID
    timestamp: _Moment | None = None
    bid: msgspec.Raw = NOTHING
    ask: msgspec.Raw = NOTHING
    bid_qty: msgspec.Raw = NOTHING
    ask_qty: msgspec.Raw = NOTHING


class _Message(msgspec.Struct, gc=False):
    channel: str = ""
    data: list[msgspec.Raw] = []


class _Elements(msgspec.Struct):
    data: list[msgspec.Raw]


_decode: Final = msgspec.json.Decoder(_Message).decode
_element: Final = msgspec.json.Decoder(_Element).decode
_elements: Final = msgspec.json.Decoder(_Elements).decode


def parse_kraken(batch: RawBatch, rules: FeedRules) -> Parsed:
    """Parse every element of every message; the line is an element's position."""
    messages = Messages(batch, _decode, _kind_of)
    trades, quotes = Trades(), QuoteColumns()
    for number, message in zip(messages.numbers, messages.decoded, strict=True):
        if message.channel not in ("trade", "ticker"):
            messages.leave(number, f"channel {message.channel[:40]!r} is not known")
            continue
        for line, raw in enumerate(message.data):
            try:
                element = _element(raw)
            except (msgspec.DecodeError, UnicodeDecodeError) as error:
                messages.reject_part(number, line, bytes(raw), f"it does not fit: {error}")
                continue
            if message.channel == "trade":
                _add_trade(trades, number, line, element)
            else:
                _add_quote(quotes, number, line, element)

    def original(payload: int, line: int) -> bytes:
        return kraken_element_at(batch, payload, line)

    rows, bad_trades = trade_rows(FEED, rules.naming, trades, original)
    quoted, bad_quotes = quote_rows(FEED, rules.naming, quotes, original)
    return Parsed(rows, messages.rejected + bad_trades + bad_quotes, quoted, messages.skipped)


def kraken_element_at(batch: RawBatch, payload: int, line: int) -> bytes:
    """Return an element of a message as received."""
    return bytes(_elements(payload_at(batch, payload)).data[line])


def _add_trade(trades: Trades, number: int, line: int, element: _Element) -> None:
    trades.payload.append(number)
    trades.line.append(line)
    trades.symbol.append(element.symbol)
    trades.price.append(text_of(element.price))
    trades.size.append(text_of(element.qty))
    trades.time.append(_time(element))
    trades.side.append(_SIDES.get(element.side, UNKNOWN))
    trades.trade_id.append(element.trade_id)


def _add_quote(quotes: QuoteColumns, number: int, line: int, element: _Element) -> None:
    quotes.payload.append(number)
    quotes.line.append(line)
    quotes.symbol.append(element.symbol)
    quotes.bid.append(text_of(element.bid))
    quotes.ask.append(text_of(element.ask))
    quotes.bid_size.append(text_of(element.bid_qty))
    quotes.ask_size.append(text_of(element.ask_qty))
    quotes.time.append(_time(element))
    quotes.update_id.append(NOT_GIVEN)


def _time(element: _Element) -> int:
    return NO_TIME if element.timestamp is None else us_of(element.timestamp)


def _kind_of(message: Any) -> str:
    """Name a skipped message: by its channel, or as a response."""
    if not isinstance(message, dict):
        return ""
    channel = message.get("channel", "")
    if isinstance(channel, str) and channel in _SKIPPED:
        return channel
    return "answer" if isinstance(message.get("method"), str) or "error" in message else ""
