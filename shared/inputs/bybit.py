"""Bybit's public streams: `publicTrade` to ticks, `tickers` with both sides to quotes.

Source: Bybit, "V5 API, WebSocket Stream, Public" (Trade, Ticker). `S` is the taker's side. A block
trade (`BT`) was agreed off the book: it counts for volume only.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from shared.inputs.element_feed import NOT_KNOWN, ElementFeed, Unread
from shared.inputs.elements import BUY, NO_TIME, SELL, UNKNOWN, QuoteElement, TradeElement
from shared.inputs.feed_rows import Feed, Fields
from shared.market.instruments import Venue

FEED: Final = Feed(
    Venue.BYBIT,
    Fields(
        "s", "p", "v", "T", "S", "i",
        bid="bid1Price", ask="ask1Price", bid_size="bid1Size", ask_size="ask1Size",
    ),
    text_ids=True,
)  # fmt: skip

_SKIPPED: Final = frozenset(
    {
        *("orderbook", "kline", "liquidation", "allLiquidation", "tickers", "insurance"),
        *("adlAlert", "priceLimit"),
    }
)
_SIDES: Final = {"Buy": BUY, "Sell": SELL}
_BLOCK: Final = "volume_only"


class _Trade(msgspec.Struct, gc=False):
    s: str = ""
    p: str = ""
    v: str = ""
    T: int = NO_TIME
    S: str = ""
    i: str = ""
    BT: bool = False


class _Ticker(msgspec.Struct, gc=False):
    symbol: str = ""
    bid1Price: str = ""  # noqa: N815 - the exchange's name
    ask1Price: str = ""  # noqa: N815
    bid1Size: str = ""  # noqa: N815
    ask1Size: str = ""  # noqa: N815


class _Message(msgspec.Struct, gc=False):
    topic: str = ""
    ts: int = NO_TIME
    cs: int = -1
    data: msgspec.Raw = msgspec.Raw(b"")


_trade: Final = msgspec.json.Decoder(_Trade).decode
_ticker: Final = msgspec.json.Decoder(_Ticker).decode
_list: Final = msgspec.json.Decoder(list[msgspec.Raw]).decode


def _elements(message: _Message) -> list[Unread] | str:
    topic = message.topic.partition(".")[0]
    if topic == "publicTrade":
        return [(_read_trade, raw) for raw in _list(message.data)]
    if topic != "tickers":
        return NOT_KNOWN
    try:
        quote = _ticker(message.data)
    except msgspec.DecodeError:
        return NOT_KNOWN
    if not (quote.bid1Price and quote.ask1Price):  # spot, or a change of another field
        return NOT_KNOWN

    def read(raw: msgspec.Raw) -> QuoteElement:
        ticker = _ticker(raw)
        return QuoteElement(
            ticker.symbol,
            ticker.bid1Price,
            ticker.ask1Price,
            ticker.bid1Size,
            ticker.ask1Size,
            message.ts,
            message.cs,
        )

    return [(read, message.data)]


def _read_trade(raw: msgspec.Raw) -> TradeElement:
    trade = _trade(raw)
    side = _SIDES.get(trade.S, UNKNOWN)
    return TradeElement(
        trade.s, trade.p, trade.v, trade.T, side, trade.i, _BLOCK if trade.BT else ""
    )


def _kind_of(message: Any) -> str:
    if not isinstance(message, dict):
        return ""
    topic = message.get("topic")
    if isinstance(topic, str) and (kind := topic.partition(".")[0]) in _SKIPPED:
        return kind
    return "answer" if isinstance(message.get("op"), str) and "topic" not in message else ""


BYBIT: Final = ElementFeed(FEED, msgspec.json.Decoder(_Message).decode, _elements, _kind_of)
