"""Trades and quotes that ccxt read, one a payload: `trade` to ticks, `quote` to quotes.

Source: ccxt, "Manual", Trade Structure and Ticker Structure. Numbers are the texts that the venue
wrote; `info` is its own message. `side` is the taker's. A batch is of one venue.
"""

from __future__ import annotations

import re
from typing import Any, Final

import msgspec

from shared.inputs.feed_columns import NO_TIME
from shared.inputs.feed_rows import (
    BUY,
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
from shared.market.instruments import CCXT
from shared.wire.quotes import NOT_GIVEN
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
    trades: list[tuple[int, _Trade]] = []
    quotes: list[tuple[int, _Quote]] = []
    venue = next((each.ccxt for each in messages.decoded), "")
    for number, message in zip(messages.numbers, messages.decoded, strict=True):
        if message.ccxt != venue or _VENUE.fullmatch(venue) is None:
            messages.reject(number, "bad_message", f"ccxt {message.ccxt[:40]!r} is no venue here")
        elif message.trade is not None:
            trades.append((number, message.trade))
        elif message.quote is not None:
            quotes.append((number, message.quote))
        else:
            messages.reject(number, "bad_message", "neither trade nor quote is there")
    feed = Feed(f"{CCXT}:{venue}", _FIELDS, trade_ids=False, sides=False, text_ids=True)

    def original(payload: int, line: int) -> bytes:
        return payload_at(batch, payload)

    rows, bad_trades = trade_rows(feed, rules.naming, _trades(trades), original)
    quoted, bad_quotes = quote_rows(feed, rules.naming, _quotes(quotes), original)
    return Parsed(rows, messages.rejected + bad_trades + bad_quotes, quoted, messages.skipped)


def _trades(numbered: list[tuple[int, _Trade]]) -> Trades:
    trades = [each for _, each in numbered]
    return Trades(
        payload=[number for number, _ in numbered],
        line=[0] * len(trades),
        symbol=[each.symbol for each in trades],
        price=[each.price for each in trades],
        size=[each.amount for each in trades],
        time=[NO_TIME if each.timestamp is None else each.timestamp for each in trades],
        side=[_SIDES.get(each.side or "", UNKNOWN) for each in trades],
        text_id=["" if each.id is None else str(each.id) for each in trades],
    )


def _quotes(numbered: list[tuple[int, _Quote]]) -> QuoteColumns:
    quotes = [each for _, each in numbered]
    return QuoteColumns(
        payload=[number for number, _ in numbered],
        line=[0] * len(quotes),
        symbol=[each.symbol for each in quotes],
        bid=[each.bid for each in quotes],
        ask=[each.ask for each in quotes],
        bid_size=[each.bidVolume or "" for each in quotes],
        ask_size=[each.askVolume or "" for each in quotes],
        time=[NO_TIME if each.timestamp is None else each.timestamp for each in quotes],
        update_id=[NOT_GIVEN] * len(quotes),
    )


def _kind_of(message: Any) -> str:
    """Return nothing: no message is skipped."""
    return ""
