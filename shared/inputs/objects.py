"""JSON objects, a trade or quote each, under any of the names that senders give to the fields.

One object a payload, bare or within `{"topic": ..., "data": {...}}`. The stock scanner's are among
them: its `volume` is the day's, so the tick's size is 0 unless the sender says one. Numbers are
read as the text that stands in the JSON; `null` counts as absent.
"""

from __future__ import annotations

from collections import Counter
from typing import Any, Final

import msgspec

from shared.inputs.feed_columns import NO_TIME
from shared.inputs.feed_rows import (
    UNKNOWN,
    Feed,
    Fields,
    QuotesSaid,
    Trades,
    quote_rows,
    trade_rows,
)
from shared.inputs.fields import Field, layout_of
from shared.inputs.line import MAKER_SIDES, RejectedLineError, absent, read_side, time_of
from shared.inputs.messages import Messages, payload_at
from shared.inputs.parsed import FeedRules, Parsed
from shared.inputs.raw_values import text_of
from shared.quotes import NOT_SAID
from shared.raw import RawBatch

FEED: Final = Feed(
    "",
    Fields("symbol", time="timestamp"),
    trade_ids=False,
    trade_times=False,
    sides=False,
    text_ids=True,
)

_SKIPPED: Final = frozenset(
    {
        *("ping", "pong", "heartbeat", "welcome", "hello", "status", "error", "subscribed"),
        *("unsubscribed", "subscription", "subscriptions", "connected"),
    }
)
_TOPIC: Final = "stock:"
_EXAMPLE: Final = 'a trade is {"symbol": "AAPL", "price": 224.57, "size": 1, "timestamp": ...}'

Values = dict[str, msgspec.Raw]

_decode: Final = msgspec.json.Decoder(Values).decode


class _Object:
    """The values of an object by field, as texts; empty where they are not or are null."""

    def __init__(self, values: Values) -> None:
        self.layout = layout_of(tuple(values))
        self._values = values

    def text(self, field: Field) -> str:
        for name in self.layout.places.get(field, ()):
            text = text_of(self._values[name])
            if text and not (field is Field.SYMBOL and text[0] in "[{"):
                return text
        return ""


def parse_objects(batch: RawBatch, rules: FeedRules) -> Parsed:
    """Parse every object of the batch."""
    messages = Messages(batch, _decode, _kind_of)
    trades, quotes, unread = Trades(), QuotesSaid(), Counter[str]()
    for number, message in zip(messages.numbers, messages.decoded, strict=True):
        try:
            found, topic = _within(message)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            messages.leave(number, f"its data is no object: {error}")
            continue
        symbol = found.text(Field.SYMBOL) or topic
        price, bid, ask = (found.text(f) for f in (Field.PRICE, Field.BID, Field.ASK))
        if not symbol or not (price or bid or ask):
            missing = "price" if symbol else "symbol"
            there = ", ".join(message)[:200]
            messages.leave(number, f"it names no {missing} (it has {there}): {_EXAMPLE}")
            continue
        try:
            time_us = _time_us(found)
            if price:
                _add_trade(trades, number, symbol, price, time_us, found)
        except RejectedLineError as error:
            messages.reject(number, error.code, str(error))
            continue
        if bid or ask:
            _add_quote(quotes, number, symbol, (bid, ask), time_us, found)
        unread.update(found.layout.unread)

    def original(payload: int, line: int) -> bytes:
        return payload_at(batch, payload)

    rows, bad_trades = trade_rows(FEED, rules.naming, trades, original)
    quoted, bad_quotes = quote_rows(FEED, rules.naming, quotes, original)
    rejected = messages.rejected + bad_trades + bad_quotes
    return Parsed(rows, rejected, quoted, messages.skipped, unread)


def _within(message: Values) -> tuple[_Object, str]:
    """Return the object, bare or within a topic's message, and the symbol that the topic says."""
    if "data" not in message or "price" in message:
        return _Object(message), ""
    topic = text_of(message["topic"]) if "topic" in message else ""
    data = bytes(message["data"])
    return _Object(_decode(data) if data != b"null" else message), topic.removeprefix(_TOPIC)


def _add_trade(
    trades: Trades, number: int, symbol: str, price: str, time_us: int, found: _Object
) -> None:
    side = read_side("side", absent(found.text(Field.SIDE)))
    if side == UNKNOWN:
        maker = found.text(Field.BUYER_MAKER)
        side = read_side("buyer is maker", maker, MAKER_SIDES)
    trades.payload.append(number)
    trades.line.append(0)
    trades.symbol.append(symbol)
    trades.price.append(price)
    trades.size.append(found.text(Field.SIZE) or "0")
    trades.time.append(time_us)
    trades.side.append(side)
    trades.text_id.append(found.text(Field.TRADE_ID))
    trades.conditions.append(found.text(Field.CONDITIONS))


def _add_quote(
    quotes: QuotesSaid,
    number: int,
    symbol: str,
    sides: tuple[str, str],
    time_us: int,
    found: _Object,
) -> None:
    quotes.payload.append(number)
    quotes.line.append(0)
    quotes.symbol.append(symbol)
    quotes.bid.append(sides[0])
    quotes.ask.append(sides[1])
    quotes.bid_size.append(found.text(Field.BID_SIZE))
    quotes.ask_size.append(found.text(Field.ASK_SIZE))
    quotes.time.append(time_us)
    quotes.update_id.append(NOT_SAID)


def _time_us(found: _Object) -> int:
    text = found.text(Field.TIME)
    return time_of("timestamp", text) if text else NO_TIME


def _kind_of(message: Any) -> str:
    if not isinstance(message, dict):
        return ""
    named = (message.get(field) for field in ("type", "event", "action"))
    return next((kind for kind in named if isinstance(kind, str) and kind in _SKIPPED), "")
