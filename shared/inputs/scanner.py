"""The stock scanner's JSON to ticks, and to quotes where it has bid and ask.

One object a payload, bare or within `{"topic": "stock:AAPL", "data": {...}}`. `price` is the last
price and `volume` the day's so far, no size of a trade; so the tick's size is 0, unless the sender
says `size`. Numbers are read as the text that stands in the JSON.
"""

from __future__ import annotations

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
    QuotesSaid,
    Trades,
    quote_rows,
    trade_rows,
)
from shared.inputs.line import RejectedLineError
from shared.inputs.messages import Messages, payload_at
from shared.inputs.parsed import FeedRules, Parsed
from shared.inputs.raw_values import NOTHING, text_of
from shared.quotes import NOT_SAID
from shared.raw import RawBatch
from shared.timestamps import moment_us

FEED: Final = Feed(
    "", Fields("ticker", time="timestamp"), trade_ids=False, trade_times=False, sides=False
)

_SKIPPED: Final = frozenset(
    {
        *("ping", "pong", "heartbeat", "welcome", "hello", "status", "error", "subscribed"),
        *("unsubscribed", "subscription", "subscriptions", "connected"),
    }
)
_SIDES: Final = {"": UNKNOWN, "buy": BUY, "b": BUY, "sell": SELL, "s": SELL}
_TOPIC: Final = "stock:"


class _Scan(msgspec.Struct, gc=False):
    ticker: str = ""
    price: msgspec.Raw = NOTHING
    timestamp: msgspec.Raw = NOTHING
    size: msgspec.Raw = NOTHING
    side: str = ""
    trade_id: Annotated[int, msgspec.Meta(ge=0, le=LARGEST_ID)] = NO_TRADE_ID
    bid: msgspec.Raw = NOTHING
    ask: msgspec.Raw = NOTHING
    bid_size: msgspec.Raw = NOTHING
    ask_size: msgspec.Raw = NOTHING


class _Message(_Scan, gc=False):
    """An object, bare or within a topic's message."""

    topic: str = ""
    data: _Scan | None = None


_decode: Final = msgspec.json.Decoder(_Message).decode


def parse_scanner(batch: RawBatch, rules: FeedRules) -> Parsed:
    """Parse every object of the batch."""
    messages = Messages(batch, _decode, _kind_of)
    trades, quotes = Trades(), QuotesSaid()
    for number, message in zip(messages.numbers, messages.decoded, strict=True):
        scan = message if message.data is None else message.data
        ticker = scan.ticker or message.topic.removeprefix(_TOPIC)
        price, bid, ask = text_of(scan.price), text_of(scan.bid), text_of(scan.ask)
        if not ticker or not (price or bid or ask):
            messages.leave(number, "ticker or price is missing")
            continue
        try:
            time_us = _time_us(scan)
            side = _side(scan.side)
        except RejectedLineError as error:
            messages.reject(number, error.code, str(error))
            continue
        if price:
            _add_trade(trades, number, ticker, price, time_us, side, scan)
        if bid or ask:
            _add_quote(quotes, number, ticker, (bid, ask), time_us, scan)

    def original(payload: int, line: int) -> bytes:
        return payload_at(batch, payload)

    rows, bad_trades = trade_rows(FEED, rules.naming, trades, original)
    quoted, bad_quotes = quote_rows(FEED, rules.naming, quotes, original)
    return Parsed(rows, messages.rejected + bad_trades + bad_quotes, quoted, messages.skipped)


def _add_trade(
    trades: Trades, number: int, ticker: str, price: str, time_us: int, side: int, scan: _Scan
) -> None:
    trades.payload.append(number)
    trades.line.append(0)
    trades.symbol.append(ticker)
    trades.price.append(price)
    trades.size.append(text_of(scan.size) or "0")
    trades.time.append(time_us)
    trades.side.append(side)
    trades.trade_id.append(scan.trade_id)


def _add_quote(
    quotes: QuotesSaid, number: int, ticker: str, sides: tuple[str, str], time_us: int, scan: _Scan
) -> None:
    quotes.payload.append(number)
    quotes.line.append(0)
    quotes.symbol.append(ticker)
    quotes.bid.append(sides[0])
    quotes.ask.append(sides[1])
    quotes.bid_size.append(text_of(scan.bid_size))
    quotes.ask_size.append(text_of(scan.ask_size))
    quotes.time.append(time_us)
    quotes.update_id.append(NOT_SAID)


def _time_us(scan: _Scan) -> int:
    text = text_of(scan.timestamp)
    return moment_us("timestamp", text) if text else NO_TIME


def _side(text: str) -> int:
    side = _SIDES.get(text.lower())
    if side is None:
        raise RejectedLineError("bad_side", f"side {text[:40]!r} must be buy, sell or absent")
    return side


def _kind_of(message: Any) -> str:
    if not isinstance(message, dict):
        return ""
    named = (message.get(field) for field in ("type", "event", "action"))
    return next((kind for kind in named if isinstance(kind, str) and kind in _SKIPPED), "")
