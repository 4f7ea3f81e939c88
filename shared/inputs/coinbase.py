"""Coinbase Exchange: `match` and `last_match` to ticks, `ticker` to quotes.

Source: Coinbase, "Exchange WebSocket Channels" (Matches Channel, Ticker Channel). A match's `side`
is that of the maker's order, so the aggressor's is the other; a ticker's trade is a match as well.
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
from shared.market.instruments import Venue
from shared.market.timestamps import us_of
from shared.wire.quotes import NOT_GIVEN
from shared.wire.raw_batch import RawBatch

_Count = Annotated[int, msgspec.Meta(ge=0, le=LARGEST_ID)]
_Moment = Annotated[datetime, msgspec.Meta(tz=True)]

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
    trade_id: _Count = NO_TRADE_ID
    sequence: _Count = NOT_GIVEN
    time: _Moment | None = None
    best_bid: str = ""
    best_ask: str = ""
    best_bid_size: str = ""
    best_ask_size: str = ""


_decode: Final = msgspec.json.Decoder(_Message).decode


def parse_coinbase(batch: RawBatch, rules: FeedRules) -> Parsed:
    """Parse every message of the batch."""
    messages = Messages(batch, _decode, _kind_of)
    numbers, decoded = messages.numbers, messages.decoded
    matches = [i for i, message in enumerate(decoded) if message.type in _MATCHES]
    tickers = [i for i, message in enumerate(decoded) if message.type == "ticker"]
    if len(matches) + len(tickers) < len(decoded):
        _skip_others(messages)

    def original(payload: int, line: int) -> bytes:
        return payload_at(batch, payload)

    trades = _trades([numbers[i] for i in matches], [decoded[i] for i in matches])
    quotes = _quotes([numbers[i] for i in tickers], [decoded[i] for i in tickers])
    rows, bad_trades = trade_rows(FEED, rules.naming, trades, original)
    quoted, bad_quotes = quote_rows(FEED, rules.naming, quotes, original)
    return Parsed(rows, messages.rejected + bad_trades + bad_quotes, quoted, messages.skipped)


def _skip_others(messages: Messages[_Message]) -> None:
    for number, message in zip(messages.numbers, messages.decoded, strict=True):
        kind = message.type
        if kind in _SKIPPED:
            messages.skipped[kind] += 1
        elif kind not in _MATCHES and kind != "ticker":
            messages.leave(number, f"type {kind[:40]!r} is not known")


def _trades(numbers: list[int], matches: list[_Message]) -> Trades:
    return Trades(
        numbers,
        [0] * len(numbers),
        [match.product_id for match in matches],
        [match.price for match in matches],
        [match.size for match in matches],
        [_time(match) for match in matches],
        [_AGGRESSOR.get(match.side, UNKNOWN) for match in matches],
        [match.trade_id for match in matches],
    )


def _quotes(numbers: list[int], tickers: list[_Message]) -> QuoteColumns:
    return QuoteColumns(
        numbers,
        [0] * len(numbers),
        [ticker.product_id for ticker in tickers],
        [ticker.best_bid for ticker in tickers],
        [ticker.best_ask for ticker in tickers],
        [ticker.best_bid_size for ticker in tickers],
        [ticker.best_ask_size for ticker in tickers],
        [_time(ticker) for ticker in tickers],
        [ticker.sequence for ticker in tickers],
    )


def _time(message: _Message) -> int:
    return NO_TIME if message.time is None else us_of(message.time)


def _kind_of(message: Any) -> str:
    kind = message.get("type", "") if isinstance(message, dict) else ""
    return kind if isinstance(kind, str) and kind in _SKIPPED else ""
