"""Elements of feeds' messages as sent: trades, quotes, busts, and what is left out."""

from __future__ import annotations

from typing import ClassVar, Final, NamedTuple

import msgspec

from shared.wire.quotes import NOT_GIVEN

UNKNOWN, BUY, SELL = 0, 1, 2
NO_TIME: Final = -1
NO_TRADE_ID: Final = -1


class TradeElement(msgspec.Struct, gc=False):
    """A trade as sent. `time`: since 1970 in any unit, a datetime or ISO 8601, or NO_TIME.

    Other structs with these attributes are trades too. `price` and `size` are texts or raw numbers;
    `side`: as the feed's `sides` name it, or the aggressor's number. `trade_id`: a number or
    NO_TRADE_ID; if the feed's ids are text, a text that may be empty.
    """

    is_quote: ClassVar[bool] = False

    symbol: str
    price: str
    size: str
    time: int
    side: int
    trade_id: int | str
    conditions: str = ""


class QuoteElement(msgspec.Struct, gc=False):
    """A quote as sent; sizes are empty if absent."""

    is_quote: ClassVar[bool] = True

    symbol: str
    bid: str
    ask: str
    bid_size: str
    ask_size: str
    time: int
    update_id: int = NOT_GIVEN


class BustElement(NamedTuple):
    """A cancel, or a correction with the new price and size.

    `corrected_id` and `conditions`: of the corrected trade, if it has a new id. `time`: of the
    trade, in any unit, or NO_TIME. `is_listed`: from a list of trades, whether or not the trade was
    received before.
    """

    symbol: str
    trade_id: str
    is_correction: bool = False
    price: str = ""
    size: str = ""
    corrected_id: str = ""
    conditions: str = ""
    time: int = NO_TIME
    is_listed: bool = False


class LeftOut(NamedTuple):
    """An element without data: its kind, to be counted."""

    kind: str
