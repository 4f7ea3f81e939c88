"""JSON objects, a trade or quote each, under any field names of senders.

One object per payload, bare or in `{"topic": ..., "data": {...}}`, a list of trades in `{"channel":
"trades", "data": [...]}`, or a FIX message. This includes the stock scanner's objects: their
`volume` is the day's, so the tick's size is 0 unless the sender gives one. Numbers are parsed from
the JSON text; `null` counts as absent.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from functools import partial
from typing import Final

import msgspec

from shared.inputs.columns.parsed import FeedRules, Parsed
from shared.inputs.objects import fix
from shared.inputs.objects.busts import BustRow, read_bust, word_of
from shared.inputs.objects.fields import (
    POLYGON,
    POLYGON_IDS,
    VOID_CORRECTIONS,
    Field,
    Layout,
    layout_of,
)
from shared.inputs.text.line import (
    MAKER_SIDES,
    NUMBERED_SIDES,
    RejectedLineError,
    absent,
    read_side,
    time_of,
)
from shared.inputs.venues.elements import BUY, NO_TIME, SELL, UNKNOWN, QuoteElement, TradeElement
from shared.inputs.venues.feed_rows import Elements, Feed, Fields
from shared.inputs.venues.messages import Kinds, Messages, payload_at, text_of
from shared.inputs.venues.venue_messages import Inner, Values, object_at, objects_of, read_message
from shared.wire.raw_batch import RawBatch

FEED: Final = Feed(
    "",
    Fields("symbol", time="timestamp"),
    trade_ids=False,
    trade_times=False,
    sided=False,
    text_ids=True,
)

_SKIPPED: Final = frozenset(
    {
        *("ping", "pong", "heartbeat", "welcome", "hello", "status", "error", "subscribed"),
        *("unsubscribed", "subscription", "subscriptions", "connected"),
        *("subscribe", "unsubscribe"),
    }
)
_KINDS: Final = Kinds(dict.fromkeys(("type", "event", "action"), _SKIPPED))
_OTHER_SIDE: Final = {UNKNOWN: UNKNOWN, BUY: SELL, SELL: BUY}
_OTHER_SIDES: Final = {
    "type": {"buy": BUY, "sell": SELL},
    "ask_bid": {"bid": BUY, "ask": SELL},
}
"""Gemini's `type` is the side, that of others the kind of an order or message. `ask_bid`: Upbit."""
_EXAMPLE: Final = 'a trade is {"symbol": "AAPL", "price": 224.57, "size": 1, "timestamp": ...}'
_IDS_WITHIN: Final = (
    ({"ev"}, ("x", "trfi")),
    ({*"Ttpsi"}, ("x", "r")),
    *(({mark}, POLYGON_IDS) for mark in sorted(POLYGON)),
)
"""By fields that tell a trade of Polygon's stream and of its REST APIs: what its id counts in."""
_ALPACA: Final = (
    frozenset({"T", "S", "p", "s", "t", "i"}),
    frozenset({"t", "x", "p", "s", "i", "z"}),
)
"""Names of a trade in its stream, and in responses of its REST API."""
_OF_ALPACA: Final = (
    "a trade of Alpaca's stream, whose ids count within an exchange and whose conditions depend on"
    " its tape: POST it with Content-Type application/x-ndjson; feed=alpaca"
)

_OF_NO_TRADE: Final = (
    'correction is true, and of which trade is not said: send {"correct": ID, "symbol": ...,'
    ' "price": ..., "size": ...}'
)


def _text(values: Values, layout: Layout, field: Field) -> str:
    """Return the field's first present value, as text; an object or list is not a symbol."""
    for name in layout.places.get(field, ()):
        if field is Field.SYMBOL and bytes(values[name])[:1] in (b"[", b"{"):
            continue
        if text := text_of(values[name]):
            return text
    return ""


def parse_objects(batch: RawBatch, rules: FeedRules) -> Parsed:
    """Parse every object of the batch."""
    messages = Messages(batch, _read, _KINDS)
    items, unread, busts = Elements(), Counter[str](), list[BustRow]()
    for number, message, inner in _each(messages):
        values = inner.values
        if isinstance(values, fix.NoTrade):
            if values.kind:
                messages.skipped[values.kind] += 1
            else:
                messages.reject(number, "bad_message", values.why)
            continue
        if keyword := word_of(values):
            try:
                source = inner.original or payload_at(batch, number)
                bust = read_bust(values, layout_of(tuple(values)), keyword, source)
                busts.append(BustRow(number, inner.line, bust))
            except RejectedLineError as error:
                _reject(messages, number, inner, error.code, str(error))
            continue
        if inner.left_out:
            messages.skipped[inner.left_out] += 1
            continue
        if not POLYGON.isdisjoint(values) and _optional(values, "correction") in VOID_CORRECTIONS:
            messages.skipped["void"] += 1
            continue
        if _optional(values, "correction") == "true":
            _reject(messages, number, inner, "bad_message", _OF_NO_TRADE)
            continue
        if "ev" not in values and any(values.keys() >= names for names in _ALPACA):
            _reject(messages, number, inner, "bad_message", _OF_ALPACA)
            continue
        layout = layout_of(tuple(values))
        first = [layout.places.get(each, ("",))[0] for each in (Field.SYMBOL, Field.PRICE)]
        letters = [name for name in first if len(name) == 1]
        if letters and inner.original and not layout.venue_known:
            reason = f"its venue, and so what {letters[0]} means, is not known here: {_EXAMPLE}"
            _reject(messages, number, inner, "bad_message", reason)
            continue
        text = partial(_text, values, layout)
        symbol = text(Field.SYMBOL) or inner.symbol
        price = text(Field.PRICE) if inner.is_trade else ""
        bid, ask = text(Field.BID), text(Field.ASK)
        if not symbol or not (price or bid or ask):
            missing = "price" if symbol else "symbol"
            present = ", ".join(message if inner.original is None else values)[:200]
            reason = f"it names no {missing} (it has {present}): {_EXAMPLE}"
            if inner.original or payload_at(batch, number).startswith(fix.BEGINNINGS):
                _reject(messages, number, inner, "bad_message", reason)
            else:
                messages.leave(number, reason)
            continue
        try:
            time = text(Field.TIME)
            time_us = time_of("timestamp", time) if time else NO_TIME
            if price:
                trade = _trade(symbol, price, time_us, inner, layout)
                items.add(number, inner.line, trade)
        except RejectedLineError as error:
            _reject(messages, number, inner, error.code, str(error))
            continue
        if bid or ask:
            sizes = text(Field.BID_SIZE), text(Field.ASK_SIZE)
            quote = QuoteElement(symbol, bid, ask, *sizes, time_us)
            items.add(number, inner.line, quote)
        unread.update(layout.unread)

    rows, quotes, rejected = items.rows(FEED, rules.naming, partial(object_at, batch))
    return Parsed(rows, messages.rejected + rejected, quotes, messages.skipped, unread, busts)


def _read(payload: bytes) -> Values:
    if payload.startswith(fix.BEGINNINGS):
        return fix.of_tags(payload)
    return fix.of_json(read_message(payload))


def _each(messages: Messages[Values]) -> Iterator[tuple[int, Values, Inner]]:
    """Yield the objects of all messages, with their message and its number."""
    for number, message in zip(messages.numbers, messages.decoded, strict=True):
        try:
            inners = objects_of(message)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            messages.leave(number, f"its data is not an object: {error}")
            continue
        for inner in inners:
            yield number, message, inner


def _reject(messages: Messages[Values], number: int, inner: Inner, code: str, detail: str) -> None:
    """Reject an object; of a list only the element."""
    messages.reject(number, code, detail, inner.line, inner.original)


def _side(inner: Inner, layout: Layout) -> int:
    """Return the aggressor's side. Raises RejectedLineError."""
    values = inner.values
    text = partial(_text, values, layout)
    side = read_side("side", absent(text(Field.SIDE)))
    if side == UNKNOWN:
        side = read_side("buyer is maker", text(Field.BUYER_MAKER), MAKER_SIDES)
    if side == UNKNOWN:
        side = read_side("side", text(Field.SIDE_NUMBER), NUMBERED_SIDES)
    if side == UNKNOWN and Field.SIGNED_SIZE in layout.places:
        side = SELL if text(Field.SIGNED_SIZE).startswith("-") else BUY
    if side == UNKNOWN:
        for name, sides in _OTHER_SIDES.items():
            if name in values:
                side = sides.get(text_of(values[name]).lower(), side)
    return _OTHER_SIDE[side] if inner.side_is_maker else side


def _trade_id(values: Values, layout: Layout) -> str:
    """Return the id. Polygon's are prefixed by exchange and reporting facility, their scope."""
    trade_id = _text(values, layout, Field.TRADE_ID)
    for marks, within in _IDS_WITHIN:
        if trade_id and values.keys() >= marks:
            scopes = (_optional(values, key) for key in within)
            return ":".join([*filter(None, scopes), trade_id])
    return trade_id


def _optional(values: Values, key: str) -> str:
    return text_of(values[key]) if key in values else ""


def _trade(symbol: str, price: str, time_us: int, inner: Inner, layout: Layout) -> TradeElement:
    """Return the trade. Raises RejectedLineError."""
    values = inner.values
    text = partial(_text, values, layout)
    side, trade_id = _side(inner, layout), _trade_id(values, layout)
    size = text(Field.SIZE) or text(Field.SIGNED_SIZE).removeprefix("-")
    is_block = _optional(values, "BT") == "true"  # a Bybit block trade, agreed off the book
    conditions = "volume_only" if is_block else text(Field.CONDITIONS)
    return TradeElement(symbol, price, size or "0", time_us, side, trade_id, conditions)
