"""One TickerUpdate, or the reason of its rejection: the reference for `tickers.py`."""

from __future__ import annotations

import math
from typing import Final

from google.protobuf.message import DecodeError
from google.protobuf.unknown_fields import UnknownFieldSet

from shared.inputs.text.line import (
    Line,
    Number,
    RejectedLineError,
    check_symbol,
    number_of,
    size_of,
    time_of,
)
from shared.market.decimals import INT64_MAX
from shared.schema.ticker_pb2 import TickerUpdate
from shared.wire.ticks import NO_ID

_FIELDS: Final = "symbol=1, price=2, volume=3, timestamp=4, size=5"


def parse_ticker(message: bytes) -> Line:
    """Parse a TickerUpdate, with the checks and codes of a CSV line. Raises RejectedLineError."""
    try:
        update = TickerUpdate.FromString(message)
    except DecodeError as error:
        raise RejectedLineError("bad_protobuf", f"no TickerUpdate: {error}") from error
    unknown = UnknownFieldSet(update)
    if len(unknown):
        raise RejectedLineError(
            "unknown_field",
            f"field {unknown[0].field_number} of wire type {unknown[0].wire_type} is not of"
            f" TickerUpdate ({_FIELDS}): is it another message?",
        )
    return Line(
        check_symbol(update.symbol),
        _price(update.price),
        _size(update),
        time_of("timestamp", str(update.timestamp)) if update.timestamp else None,
        side=0,
        trade_id_kind=NO_ID,
        trade_id=0,
        trade_id_text="",
    )


def _price(price: float) -> Number:
    if price == 0:
        raise RejectedLineError(
            "bad_price",
            "price is missing or 0, which protobuf does not tell apart: send a price of 0 as CSV"
            " or JSON",
        )
    if not math.isfinite(price):
        raise RejectedLineError(
            "bad_price", f"price {price} is not a decimal number such as 101.25"
        )
    # The shortest text that round-trips: most likely what the sender meant.
    return number_of("price", "bad_price", repr(price))


def _size(update: TickerUpdate) -> Number:
    if update.size:
        return size_of("size", update.size)
    if update.volume > INT64_MAX:
        raise RejectedLineError("out_of_range", f"volume {update.volume} has more than 63 bits")
    return Number(update.volume, 0)
