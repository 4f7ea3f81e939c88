"""Alpaca's stock stream: trades to ticks, quotes, and the cancels and corrections of trades.

Source: Alpaca, "Real-time Stock Data" (channels and schemas) and "Historical trades" (`u`). A trade
id counts within the exchange `x`, and names the trade together with it. A correction gives the
trade another id, `ci`, under which REST lists it; a trade that REST lists as void is a cancel. The
`t` of a cancel or correction is not used. Quotes' sizes are as sent.
"""

from __future__ import annotations

from typing import Final

import msgspec

from shared.inputs.objects.trades import of_tape
from shared.inputs.text.line import RejectedLineError, time_of
from shared.inputs.venues.element_feed import ElementFeed, Unread
from shared.inputs.venues.elements import (
    NO_TIME,
    UNKNOWN,
    BustElement,
    LeftOut,
    QuoteElement,
    TradeElement,
)
from shared.inputs.venues.feed_rows import Feed, Fields
from shared.inputs.venues.messages import NOTHING, Kinds, text_of
from shared.market.instruments import Venue

FEED: Final = Feed(
    Venue.ALPACA,
    Fields(
        "S", "p", "s", "t", trade_id="i", bid="bp", ask="ap", bid_size="bs", ask_size="as"
    ),
    sided=False,
    text_ids=True,
)  # fmt: skip

_LEFT_OUT: Final = {
    **dict.fromkeys(("success", "subscription", "error"), "answer"),
    **dict.fromkeys(("b", "u", "d"), "bar"),
    "s": "status",
    "l": "limits",
    "i": "imbalance",
}
_VOID: Final = ("canceled", "incorrect")
"""Values of `u` in REST for a trade that no longer counts."""


class _Element(msgspec.Struct, gc=False):
    """The fields of trades, quotes, cancels and corrections."""

    T: str
    S: str = ""
    t: str = ""
    x: str = ""
    z: str = ""
    i: int | str | None = None
    p: msgspec.Raw = NOTHING
    s: msgspec.Raw = NOTHING
    c: msgspec.Raw = NOTHING
    u: msgspec.Raw = NOTHING
    bp: msgspec.Raw = NOTHING
    ap: msgspec.Raw = NOTHING
    bs: msgspec.Raw = NOTHING
    as_: msgspec.Raw = msgspec.field(default=NOTHING, name="as")
    oi: int | None = None
    ci: int | None = None
    cp: msgspec.Raw = NOTHING
    cs: msgspec.Raw = NOTHING
    cc: msgspec.Raw = NOTHING


_element: Final = msgspec.json.Decoder(_Element).decode


def trade_id(exchange: str, number: int | str | None) -> str:
    """Return the identity of a trade of an instrument; empty without a number."""
    return "" if number is None else f"{exchange}:{number}"


def _elements(message: list[msgspec.Raw]) -> list[Unread]:
    return [(_read, raw) for raw in message]


def _read(raw: msgspec.Raw) -> TradeElement | QuoteElement | BustElement | LeftOut:
    item = _element(raw)
    if item.T == "t":
        if text_of(item.u) in _VOID:
            return BustElement(item.S, trade_id(item.x, item.i), time=_time(item), is_listed=True)
        return TradeElement(
            *(item.S, text_of(item.p), text_of(item.s), _time(item), UNKNOWN),
            trade_id(item.x, item.i),
            of_tape(text_of(item.c), item.z),
        )
    if item.T == "q":
        sizes = (text_of(item.bs), text_of(item.as_))
        return QuoteElement(item.S, text_of(item.bp), text_of(item.ap), *sizes, _time(item))
    if item.T == "x":
        return BustElement(item.S, trade_id(item.x, item.i))
    if item.T == "c":
        return BustElement(
            *(item.S, trade_id(item.x, item.oi), True, text_of(item.cp), text_of(item.cs)),
            trade_id(item.x, item.ci),
            of_tape(text_of(item.cc), item.z),
        )
    if item.T not in _LEFT_OUT:
        raise RejectedLineError("bad_message", f"T {item.T[:40]!r} is not known")
    return LeftOut(_LEFT_OUT[item.T])


def _time(item: _Element) -> int:
    """Return the time, truncated to microseconds."""
    return time_of("t", item.t) if item.t else NO_TIME


ALPACA: Final = ElementFeed(
    FEED, msgspec.json.Decoder(list[msgspec.Raw]).decode, _elements, Kinds({})
)
