"""OKX's public channels: `trades` to ticks, `tickers` to quotes.

Source: OKX, "API v5, Order Book Trading, Market Data" (WS / Trades channel, WS / Tickers channel).
`side` is the taker's. A message of `trades` sums the matches of one taker order at one price;
`trades-all` has the same trades one by one under ids among which those are, so it makes no ticks.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from shared.inputs.element_feed import NOT_KNOWN, ElementFeed, Unread
from shared.inputs.elements import BUY, NO_TIME, SELL, UNKNOWN, QuoteElement, TradeElement
from shared.inputs.feed_rows import Feed, Fields
from shared.inputs.line import time_of
from shared.market.instruments import Venue

FEED: Final = Feed(
    Venue.OKX,
    Fields(
        "instId", "px", "sz", "ts", "side", "tradeId",
        bid="bidPx", ask="askPx", bid_size="bidSz", ask_size="askSz",
    ),
    text_ids=True,
)  # fmt: skip

_SIDES: Final = {"buy": BUY, "sell": SELL}
_READ: Final = frozenset({"trades", "tickers"})


class _Element(msgspec.Struct, gc=False):
    """A trade or a ticker."""

    instId: str = ""  # noqa: N815 - the exchange's name
    tradeId: str = ""  # noqa: N815
    px: str = ""
    sz: str = ""
    side: str = ""
    ts: str = ""
    bidPx: str = ""  # noqa: N815
    askPx: str = ""  # noqa: N815
    bidSz: str = ""  # noqa: N815
    askSz: str = ""  # noqa: N815


class _Channel(msgspec.Struct, gc=False, frozen=True):
    channel: str = ""


class _Message(msgspec.Struct, gc=False):
    arg: _Channel = _Channel()
    event: str = ""
    data: list[msgspec.Raw] = []


_element: Final = msgspec.json.Decoder(_Element).decode


def _elements(message: _Message) -> list[Unread] | str:
    if message.event or message.arg.channel not in _READ:
        return NOT_KNOWN
    read = _read_trade if message.arg.channel == "trades" else _read_quote
    return [(read, raw) for raw in message.data]


def _read_trade(raw: msgspec.Raw) -> TradeElement:
    item = _element(raw)
    side = _SIDES.get(item.side, UNKNOWN)
    return TradeElement(item.instId, item.px, item.sz, _time(item), side, item.tradeId)


def _read_quote(raw: msgspec.Raw) -> QuoteElement:
    item = _element(raw)
    return QuoteElement(item.instId, item.bidPx, item.askPx, item.bidSz, item.askSz, _time(item))


def _time(item: _Element) -> int:
    return time_of("ts", item.ts) if item.ts else NO_TIME


def _kind_of(message: Any) -> str:
    if not isinstance(message, dict):
        return ""
    event, arg = message.get("event"), message.get("arg")
    if isinstance(event, str):
        return event if event in ("subscribe", "unsubscribe", "error", "notice") else "answer"
    channel = arg.get("channel") if isinstance(arg, dict) else None
    return channel if isinstance(channel, str) and channel not in _READ else ""


OKX: Final = ElementFeed(FEED, msgspec.json.Decoder(_Message).decode, _elements, _kind_of)
