"""Venues whose messages differ in names only: Kraken, Coinbase, Bybit, OKX; each a declaration.

An element is decoded to our names, numbers and times as they stand. Sources: Kraken, "WebSocket API
v2" (Trades, Ticker); Coinbase, "Exchange WebSocket Channels" (Matches, Ticker) and "Advanced Trade
WebSocket Channels" (Market Trades, Ticker); Bybit, "V5 API, WebSocket Stream, Public" (Trade,
Ticker); OKX, "API v5, Order Book Trading, Market Data" (Trades, Tickers). The side is the taker's,
but Coinbase names the maker's.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from functools import partial
from typing import Any, ClassVar, Final

import msgspec

from shared.inputs.columns.feed_columns import LARGEST_ID, Count, Moment
from shared.inputs.venues.element_feed import NOT_KNOWN, ElementFeed, Unread
from shared.inputs.venues.elements import BUY, NO_TIME, NO_TRADE_ID, SELL
from shared.inputs.venues.feed_rows import Feed, Fields
from shared.inputs.venues.messages import NOTHING, Kinds
from shared.market.instruments import Venue
from shared.wire.quotes import NOT_GIVEN

TEXT: Final = (str, "")
NUMBER: Final = (msgspec.Raw, NOTHING)
"""Read as the text that stands there, so that no price becomes a float."""
COUNT: Final = (Count, NO_TRADE_ID)
EPOCH: Final = (int, NO_TIME)
MOMENT: Final = (Moment | None, None)
FLAG: Final = (bool, False)

_TRADE: Final = ("symbol", "price", "size", "time", "side", "trade_id")
_QUOTE: Final = ("symbol", "bid", "ask", "bid_size", "ask_size", "time")


def _decoder(fields: Fields, names: Sequence[str], **types: tuple[Any, Any]) -> Callable[..., Any]:
    """Return the decoder of an element with these names of ours, texts but for `types`."""
    constants = {"is_quote": "bid" in names, "conditions": "", "update_id": NOT_GIVEN}
    element = msgspec.defstruct(
        "Element",
        [(name, *types.get(name, TEXT)) for name in (*names, *(types.keys() - set(names)))],
        rename=asdict(fields),
        namespace={name: value for name, value in constants.items() if name not in types},
        gc=False,
    )
    return msgspec.json.Decoder(element).decode


def _each(read: Callable[[msgspec.Raw], Any], raws: Sequence[msgspec.Raw]) -> list[Unread]:
    return [(read, raw) for raw in raws]


def _with(read: Callable[..., Any], given: dict[str, Any], raw: msgspec.Raw) -> Any:
    """Return an element with what its message says of all."""
    element = read(raw)
    for name, value in given.items():
        setattr(element, name, value)
    return element


_TAKER: Final = {"buy": BUY, "sell": SELL}
_MAKER: Final = {"sell": BUY, "buy": SELL}


# Kraken: channels `trade` and `ticker`; prices and sizes are JSON numbers.

_KRAKEN: Final = Feed(
    Venue.KRAKEN,
    Fields("symbol", size="qty", time="timestamp", bid_size="bid_qty", ask_size="ask_qty"),
    _TAKER,
)


class _KrakenMessage(msgspec.Struct, gc=False):
    channel: str = ""
    data: list[msgspec.Raw] = []


_OF_KRAKEN: Final = {
    "trade": _decoder(
        _KRAKEN.fields, _TRADE, price=NUMBER, size=NUMBER, time=MOMENT, trade_id=COUNT
    ),
    "ticker": _decoder(
        _KRAKEN.fields,
        _QUOTE,
        **dict.fromkeys(("bid", "ask", "bid_size", "ask_size"), NUMBER),
        time=MOMENT,
    ),
}


def _of_kraken(message: _KrakenMessage) -> list[Unread] | str:
    if message.channel not in _OF_KRAKEN:
        return f"channel {message.channel[:40]!r} is not known"
    return _each(_OF_KRAKEN[message.channel], message.data)


KRAKEN: Final = ElementFeed(
    _KRAKEN,
    msgspec.json.Decoder(_KrakenMessage).decode,
    _of_kraken,
    Kinds(
        {"channel": ("heartbeat", "status", "book", "ohlc", "instrument", "level3")},
        answers=("method", "error"),
    ),
)


# Coinbase Exchange: `match`, `last_match` and `ticker`. A ticker's trade is a match as well.

_COINBASE: Final = Feed(
    Venue.COINBASE,
    Fields(
        "product_id", bid="best_bid", ask="best_ask",
        bid_size="best_bid_size", ask_size="best_ask_size",
    ),
    _MAKER,
)  # fmt: skip


class _CoinbaseMessage(
    msgspec.Struct, gc=False, rename={**asdict(_COINBASE.fields), "update_id": "sequence"}
):
    """A message, which is its only element."""

    conditions: ClassVar[str] = ""

    type: str = ""
    symbol: str = ""
    price: str = ""
    size: str = ""
    side: str = ""
    trade_id: Count = NO_TRADE_ID
    update_id: Count = NOT_GIVEN
    time: Moment | None = None
    bid: str = ""
    ask: str = ""
    bid_size: str = ""
    ask_size: str = ""

    @property
    def is_quote(self) -> bool:
        """Whether it is a ticker."""
        return self.type == "ticker"


def _of_coinbase(message: _CoinbaseMessage) -> Any:
    is_known = message.type in ("match", "last_match", "ticker")
    return message if is_known else f"type {message.type[:40]!r} is not known"


COINBASE: Final = ElementFeed(
    _COINBASE,
    msgspec.json.Decoder(_CoinbaseMessage).decode,
    _of_coinbase,
    Kinds(
        {
            "type": (
                *("heartbeat", "subscriptions", "error", "status", "snapshot", "l2update"),
                *("auction", "received", "open", "done", "change", "activate", "rfq_match"),
                *("level2", "balance"),
            )
        }
    ),
)


# Coinbase Advanced Trade: channels `market_trades` and `ticker`.

_ADVANCED: Final = Feed(
    Venue.COINBASE,
    replace(_COINBASE.fields, bid_size="best_bid_quantity", ask_size="best_ask_quantity"),
    {side.upper(): aggressor for side, aggressor in _MAKER.items()},
    text_ids=True,
    quote_names={"time": "timestamp"},
)
_advanced_trade: Final = _decoder(_ADVANCED.fields, _TRADE)
_advanced_quote: Final = _decoder(_ADVANCED.quote_fields, _QUOTE)


class _AdvancedEvent(msgspec.Struct, gc=False):
    trades: list[msgspec.Raw] = []
    tickers: list[msgspec.Raw] = []


class _AdvancedMessage(msgspec.Struct, gc=False):
    channel: str = ""
    timestamp: str = ""
    events: list[_AdvancedEvent] = []


def _of_advanced(message: _AdvancedMessage) -> list[Unread] | str:
    if message.channel == "market_trades":
        return _each(_advanced_trade, [raw for event in message.events for raw in event.trades])
    if message.channel != "ticker":
        return NOT_KNOWN
    read = partial(_with, _advanced_quote, {"time": message.timestamp})
    return _each(read, [raw for event in message.events for raw in event.tickers])


COINBASE_ADVANCED: Final = ElementFeed(
    _ADVANCED,
    msgspec.json.Decoder(_AdvancedMessage).decode,
    _of_advanced,
    Kinds(
        {
            "channel": (
                *("heartbeats", "subscriptions", "status", "l2_data", "level2", "candles"),
                *("user", "ticker_batch", "futures_balance_summary"),
            ),
            "type": ("error",),
        }
    ),
)


# Bybit: topic `publicTrade`, and `tickers` with both sides. A block trade (`BT`) was agreed off the
# book: it counts for volume only.

_BYBIT: Final = Feed(
    Venue.BYBIT,
    Fields(
        "s", "p", "v", "T", "S", "i",
        bid="bid1Price", ask="ask1Price", bid_size="bid1Size", ask_size="ask1Size",
    ),
    {side.title(): aggressor for side, aggressor in _TAKER.items()},
    text_ids=True,
    quote_names={"symbol": "symbol", "time": "ts"},
)  # fmt: skip
_bybit_trade: Final = _decoder(
    replace(_BYBIT.fields, conditions="BT"), _TRADE, time=EPOCH, conditions=FLAG
)
_bybit_quote: Final = _decoder(_BYBIT.quote_fields, _QUOTE, time=EPOCH, update_id=COUNT)


class _BybitMessage(msgspec.Struct, gc=False):
    topic: str = ""
    ts: int = NO_TIME
    cs: int = NOT_GIVEN
    data: msgspec.Raw = NOTHING


_list: Final = msgspec.json.Decoder(list[msgspec.Raw]).decode


def _of_bybit(message: _BybitMessage) -> list[Unread] | str:
    topic = message.topic.partition(".")[0]
    if topic == "publicTrade":
        return _each(_bybit_print, _list(message.data))
    if topic != "tickers":
        return NOT_KNOWN
    update_id = message.cs if 0 <= message.cs <= LARGEST_ID else NOT_GIVEN
    read = partial(_with, _bybit_quote, {"time": message.ts, "update_id": update_id})
    try:
        quote = read(message.data)
    except msgspec.DecodeError:
        return NOT_KNOWN
    # Spot has neither side, and a change of another field none or one.
    return _each(read, [message.data]) if quote.bid and quote.ask else NOT_KNOWN


def _bybit_print(raw: msgspec.Raw) -> Any:
    trade = _bybit_trade(raw)
    trade.conditions = "volume_only" if trade.conditions else ""
    return trade


BYBIT: Final = ElementFeed(
    _BYBIT,
    msgspec.json.Decoder(_BybitMessage).decode,
    _of_bybit,
    Kinds(
        {
            "topic": (
                *("orderbook", "kline", "liquidation", "allLiquidation", "tickers", "insurance"),
                *("adlAlert", "priceLimit"),
            )
        },
        answers=("op",),
        end=".",
    ),
)


# OKX: channels `trades` and `tickers`. A message of `trades` sums the matches of one taker order at
# one price; `trades-all` has them one by one under ids among which those are, so it makes no ticks.

_OKX: Final = Feed(
    Venue.OKX,
    Fields(
        "instId", "px", "sz", "ts", "side", "tradeId",
        bid="bidPx", ask="askPx", bid_size="bidSz", ask_size="askSz",
    ),
    _TAKER,
    text_ids=True,
)  # fmt: skip
_OF_OKX: Final = {
    "trades": _decoder(_OKX.fields, _TRADE),
    "tickers": _decoder(_OKX.fields, _QUOTE),
}


class _OkxChannel(msgspec.Struct, gc=False, frozen=True):
    channel: str = ""


class _OkxMessage(msgspec.Struct, gc=False):
    arg: _OkxChannel = _OkxChannel()
    event: str = ""
    data: list[msgspec.Raw] = []


def _of_okx(message: _OkxMessage) -> list[Unread] | str:
    if message.event or message.arg.channel not in _OF_OKX:
        return NOT_KNOWN
    return _each(_OF_OKX[message.arg.channel], message.data)


_EVENTS: Final = Kinds(
    {"event": ("subscribe", "unsubscribe", "error", "notice")}, answers=("event",)
)


def _okx_kind(message: Any) -> str:
    arg = message.get("arg") if isinstance(message, dict) else None
    channel = arg.get("channel") if isinstance(arg, dict) else None
    is_other = isinstance(channel, str) and channel not in _OF_OKX
    return _EVENTS(message) or (str(channel) if is_other else "")


OKX: Final = ElementFeed(_OKX, msgspec.json.Decoder(_OkxMessage).decode, _of_okx, _okx_kind)
