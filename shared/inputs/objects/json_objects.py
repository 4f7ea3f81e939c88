"""JSON objects, a trade or quote each, under any field names of senders.

One object per payload, bare or in `{"topic": ..., "data": {...}}`, a list of trades in `{"channel":
"trades", "data": [...]}`, or a FIX message. This includes the stock scanner's objects: their
`volume` is the day's, so the tick's size is 0 unless the sender gives one. Numbers are parsed from
the JSON text; `null` counts as absent.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from typing import Final

import msgspec

from shared.inputs.columns.parsed import FeedRules, Parsed
from shared.inputs.objects import fix
from shared.inputs.objects.busts import BustRow, read_bust, word_of
from shared.inputs.objects.fields import Field, Layout, layout_of
from shared.inputs.objects.trades import trade_of
from shared.inputs.text.line import RejectedLineError, read_side, time_of
from shared.inputs.venues.elements import BUY, NO_TIME, SELL, UNKNOWN, QuoteElement, TradeElement
from shared.inputs.venues.feed_rows import Elements, Feed, Fields
from shared.inputs.venues.messages import NOTHING, Kinds, Messages, payload_at, text_of
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
_QUOTE: Final = (Field.BID, Field.ASK, Field.BID_SIZE, Field.ASK_SIZE)
_OTHER_SIDE: Final = {UNKNOWN: UNKNOWN, BUY: SELL, SELL: BUY}
_EXAMPLE: Final = 'a trade is {"symbol": "AAPL", "price": 224.57, "size": 1, "timestamp": ...}'
_OF_ALPACA: Final = (
    "a trade of Alpaca's stream, whose ids count within an exchange and whose conditions depend on"
    " its tape: POST it with Content-Type application/x-ndjson; feed=alpaca"
)

_OF_NO_TRADE: Final = (
    'correction is true, and of which trade is not said: send {"correct": ID, "symbol": ...,'
    ' "price": ..., "size": ...}'
)


def _text(values: Values, symbols: tuple[str, ...], name: str) -> str:
    """Return a value as text; an object or list is not a symbol."""
    raw = values.get(name, NOTHING)
    return "" if name in symbols and bytes(raw)[:1] in (b"[", b"{") else text_of(raw)


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
        if "correction" in values and text_of(values["correction"]) == "true":
            _reject(messages, number, inner, "bad_message", _OF_NO_TRADE)
            continue
        layout = layout_of(tuple(values))
        if layout.tape:
            _reject(messages, number, inner, "bad_message", _OF_ALPACA)
            continue
        text = partial(_text, values, layout.places.get(Field.SYMBOL, ()))
        trade = trade_of(text, layout)
        if trade is None:
            messages.skipped["void"] += 1
            continue
        first = [layout.places.get(each, ("",))[0] for each in (Field.SYMBOL, Field.PRICE)]
        letters = [name for name in first if len(name) == 1]
        if letters and inner.original and not layout.venue_known:
            reason = f"its venue, and so what {letters[0]} means, is not known here: {_EXAMPLE}"
            _reject(messages, number, inner, "bad_message", reason)
            continue
        symbol = trade.symbol or inner.symbol
        price = trade.price if inner.is_trade else ""
        bid, ask, bid_size, ask_size = (_first(text, layout, each) for each in _QUOTE)
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
            time_us = time_of("timestamp", trade.time) if trade.time else NO_TIME
            if price:
                side = read_side("side", trade.side)
                side = _OTHER_SIDE[side] if inner.side_is_maker else side
                size, id_, conditions = trade.size or "0", trade.trade_id, trade.conditions
                element = TradeElement(symbol, price, size, time_us, side, id_, conditions)
                items.add(number, inner.line, element)
        except RejectedLineError as error:
            _reject(messages, number, inner, error.code, str(error))
            continue
        if bid or ask:
            quote = QuoteElement(symbol, bid, ask, bid_size, ask_size, time_us)
            items.add(number, inner.line, quote)
        unread.update(layout.unread)

    rows, quotes, rejected = items.rows(FEED, rules.naming, partial(object_at, batch))
    return Parsed(rows, messages.rejected + rejected, quotes, messages.skipped, unread, busts)


def _read(payload: bytes) -> Values:
    if payload.startswith(fix.BEGINNINGS):
        return fix.of_tags(payload)
    values = fix.of_json(read_message(payload))
    if "hd" in values and bytes(values["hd"])[:1] == b"{":  # Databento's
        values = {**values, **msgspec.json.decode(values["hd"], type=Values)}
    return values


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


def _first(text: Callable[[str], str], layout: Layout, field: Field) -> str:
    return next((value for name in layout.places.get(field, ()) if (value := text(name))), "")
