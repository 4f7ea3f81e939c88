"""One TickerUpdate, or the reason why it is no tick: the reference for `tickers.py`."""

from __future__ import annotations

import math
from typing import Final

from google.protobuf.message import DecodeError
from google.protobuf.unknown_fields import UnknownFieldSet

from shared.decimals import INT64_MAX
from shared.inputs.line import (
    EARLIEST_MS,
    LATEST_MS,
    Line,
    Number,
    RejectedLineError,
    check_symbol,
    number_of,
    size_of,
)
from shared.schema.ticker_pb2 import TickerUpdate
from shared.ticks import NO_ID

_FIELDS: Final = "symbol=1, price=2, volume=3, timestamp=4, size=5"


def parse_ticker(message: bytes) -> Line:
    """Read a TickerUpdate, with the checks and codes of a CSV line. Raises RejectedLineError."""
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
        _time_ms(update.timestamp),
        side=0,
        trade_id_kind=NO_ID,
        trade_id=0,
        trade_id_text="",
    )


def _price(price: float) -> Number:
    if price == 0:
        raise RejectedLineError(
            "bad_price", "price is missing or 0, which TickerUpdate cannot tell apart"
        )
    if not math.isfinite(price):
        raise RejectedLineError("bad_price", f"price {price} is no decimal number such as 101.25")
    # The shortest text that reads back as this double: what the sender most likely had in mind.
    return number_of("price", "bad_price", repr(price))


def _size(update: TickerUpdate) -> Number:
    if update.size:
        return size_of("size", update.size)
    if update.volume > INT64_MAX:
        raise RejectedLineError("out_of_range", f"volume {update.volume} has more than 63 bits")
    return Number(update.volume, 0)


def _time_ms(timestamp: int) -> int | None:
    if timestamp == 0:
        return None
    if not EARLIEST_MS <= timestamp <= LATEST_MS:
        raise RejectedLineError(
            "bad_time", f"timestamp {timestamp} must be milliseconds since 1970 UTC, or 0 for none"
        )
    return timestamp
