"""Trades and quotes that ccxt read, one a payload: `trade` to ticks, `quote` to quotes.

Source: ccxt, "Manual", Trade Structure and Ticker Structure. Numbers are the texts that the venue
wrote; `info` is its own message. `side` is the taker's. A batch is of one venue.
"""

from __future__ import annotations

import re
from dataclasses import asdict
from functools import partial
from typing import Any, ClassVar, Final

import msgspec

from shared.inputs.columns.parsed import FeedRules, Parsed
from shared.inputs.venues.element_feed import ElementFeed
from shared.inputs.venues.elements import BUY, SELL
from shared.inputs.venues.feed_rows import Feed, Fields
from shared.inputs.venues.messages import Kinds, Messages
from shared.market.instruments import CCXT
from shared.wire.quotes import NOT_GIVEN
from shared.wire.raw_batch import RawBatch

_FIELDS: Final = Fields(
    "symbol", size="amount", time="timestamp", trade_id="id",
    bid_size="bidVolume", ask_size="askVolume",
)  # fmt: skip
_SIDES: Final = {"buy": BUY, "sell": SELL}
_VENUE: Final = re.compile(r"[a-z][a-z0-9]*")
_NO_KINDS: Final = Kinds({})


class _Trade(msgspec.Struct, gc=False, rename=asdict(_FIELDS)):
    is_quote: ClassVar[bool] = False
    conditions: ClassVar[str] = ""

    symbol: str
    price: str
    size: str
    trade_id: str | int | None = None
    time: int | None = None
    side: str | None = None


class _Quote(msgspec.Struct, gc=False, rename=asdict(_FIELDS)):
    is_quote: ClassVar[bool] = True
    update_id: ClassVar[int] = NOT_GIVEN

    symbol: str
    bid: str
    ask: str
    bid_size: str | None = None
    ask_size: str | None = None
    time: int | None = None


class _Message(msgspec.Struct, gc=False):
    ccxt: str
    trade: _Trade | None = None
    quote: _Quote | None = None


_decode: Final = msgspec.json.Decoder(_Message).decode


def parse_ccxt(batch: RawBatch, rules: FeedRules) -> Parsed:
    """Parse every message."""
    messages = Messages(batch, _decode, _NO_KINDS)
    venue = next((each.ccxt for each in messages.decoded), "")
    feed = Feed(f"{CCXT}:{venue}", _FIELDS, _SIDES, trade_ids=False, sided=False, text_ids=True)
    elements = partial(_elements, venue if _VENUE.fullmatch(venue) else None)
    return ElementFeed(feed, _decode, elements, _NO_KINDS).parsed(messages, rules)


def _elements(venue: str | None, message: _Message) -> Any:
    if message.ccxt != venue:
        return f"ccxt {message.ccxt[:40]!r} is not a venue here"
    return message.trade or message.quote or "neither trade nor quote is there"
