"""JSON objects that cancel or correct a trade: `{"cancel": id, "symbol": ...}`."""

from __future__ import annotations

from typing import Final, NamedTuple

import msgspec

from shared.inputs.objects.fields import Field, Layout
from shared.inputs.text.line import (
    MAX_TRADE_ID_BYTES,
    RejectedLineError,
    check_symbol,
    price_of,
    size_of,
    time_of,
)
from shared.inputs.venues.messages import text_of
from shared.wire.busts import CANCEL, CORRECT, Bust

_VENUES: Final = ("venue", "exchange")

NOT_RECEIVED: Final = (0, 0)
"""Receive time and sequence of a bust that only its batch has."""

Values = dict[str, msgspec.Raw]


class BustRow(NamedTuple):
    """A cancel or correction and its position in the batch, by which its receipt is known."""

    payload: int
    line: int
    bust: Bust


def word_of(values: Values) -> str:
    """Return `cancel` or `correct` if the object is one, else an empty string."""
    present = (w for w in (CANCEL, CORRECT) if w in values and bytes(values[w]) != b"false")
    return next((w for w in present if text_of(values[w])), "")


def read_bust(values: Values, layout: Layout, keyword: str, original: bytes) -> Bust:
    """Parse an object with the keyword. Raises RejectedLineError that names the field."""

    def text(field: Field) -> str:
        names = layout.places.get(field, ())
        return next((value for name in names if (value := text_of(values[name]))), "")

    trade_id = text_of(values[keyword])
    if bytes(values[keyword]) == b"true":
        raise RejectedLineError("bad_trade_id", f"{keyword} is true: it must be the id of a trade")
    if len(trade_id.encode(errors="replace")) > MAX_TRADE_ID_BYTES or not trade_id.isprintable():
        raise RejectedLineError(
            "bad_trade_id",
            f"{keyword} {trade_id[:40]!r} must be the id of a trade, at most {MAX_TRADE_ID_BYTES}"
            " printable characters",
        )
    symbol = text(Field.SYMBOL)
    if not symbol:
        raise RejectedLineError("bad_symbol", f"{keyword} names no symbol: say whose trade it was")
    price, size = (text(Field.PRICE), text(Field.SIZE)) if keyword == CORRECT else ("", "")
    if keyword == CORRECT and not price and not size:
        raise RejectedLineError("bad_price", "correct says neither price nor size: say what it is")
    if price:
        price_of("price", price)
    if size:
        size_of("size", size)
    time = text(Field.TIME)
    venue = next((text_of(values[name]) for name in _VENUES if name in values), None)
    time_us = time_of("timestamp", time) if time else 0
    return Bust(
        *(check_symbol(symbol, "symbol"), venue, trade_id, time_us, keyword == CORRECT),
        *(price, size, *NOT_RECEIVED, original),
    )
