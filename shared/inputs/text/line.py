"""One CSV line in any accepted form, or the reason of its rejection.

Regular lines take the fast path (`lines.py`); this is the reference that it must agree with, and
handles the rest: exponents, signs, long numbers, quotes, and all errors.
"""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass
from decimal import Decimal
from typing import Final, NamedTuple

from shared.inputs.objects.fields import Field
from shared.inputs.objects.trades import Texts, Trade, absent, trade_of
from shared.inputs.text.dialects import PLAIN, Dialect, delimiter_of, split
from shared.market import symbols
from shared.market.decimals import MAX_SCALE, MAX_WIDE_DIGITS
from shared.market.timestamps import EARLIEST_S, parse_us
from shared.wire.ticks import INTEGER_ID, NO_ID, TEXT_ID

FORM: Final = "SYMBOL,PRICE[,SIZE[,TIME[,SIDE[,TRADE_ID[,CONDITIONS]]]]]"

MAX_TRADE_ID_BYTES: Final = 64
BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"
"""UTF-8's. Editors and spreadsheets write it before the first line."""
EARLIEST_US: Final = EARLIEST_S * 10**6

_NUMBER: Final = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d{1,3})?", re.ASCII)
_THOUSANDS: Final = re.compile(r"[+-]?\d{1,3}(\.\d{3})+(,\d*)?", re.ASCII)
_MAX_NUMBER_BYTES: Final = 80
_SIDES: Final = {"": 0, "buy": 1, "b": 1, "sell": 2, "s": 2, "a": 2, "n": 0}
"""Aggressor sides. B and A, bid and ask, are Hyperliquid's and Databento's; N is none."""


class Number(NamedTuple):
    """value = mantissa x 10^-scale; at most MAX_WIDE_DIGITS digits, without trailing zeros."""

    mantissa: int
    scale: int


@dataclass(frozen=True, slots=True)
class Line:
    """A tick as its line has it. `time_us` is None if absent.

    `conditions` are unparsed.
    """

    symbol: str
    price: Number
    size: Number
    time_us: int | None
    side: int
    trade_id_kind: int
    trade_id: int
    trade_id_text: str
    conditions: str = ""


class RejectedLineError(ValueError):
    """The line is not a tick. `code` is a metric label; the message names field and fix."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code = code


class VoidLineError(ValueError):
    """The trade is void according to its source."""


def parse_line(line: bytes, dialect: Dialect = PLAIN) -> Line:
    """Parse a line of the dialect. Raises RejectedLineError or VoidLineError."""
    fields = _fields(line, dialect)
    if dialect.layout is None:
        trade = Trade(*fields)
    else:  # the first of equal names counts
        values = Texts(zip(reversed(dialect.names), reversed(fields), strict=True))
        if (read := trade_of(values.__getitem__, dialect.layout)) is None:
            raise VoidLineError
        trade = read
    price, size = trade.price, absent(trade.size)
    if dialect.decimal_comma:
        price = _with_point("PRICE", "bad_price", price)
        size = _with_point("SIZE", "bad_size", size)
    kind, integer, id_text = read_trade_id("TRADE_ID", absent(trade.trade_id))
    return Line(
        check_symbol(trade.symbol),
        price_of("PRICE", price),
        size_of("SIZE", size) if size else Number(0, 0),
        time_of("TIME", text) if (text := absent(trade.time)) else None,
        read_side("SIDE", absent(trade.side)),
        kind,
        integer,
        id_text,
        absent(trade.conditions),
    )


def _with_point(field: str, code: str, text: str) -> str:
    """Return a number with a decimal comma as one with a point. Raises RejectedLineError."""
    if "." in text and _THOUSANDS.fullmatch(text) is None:
        raise RejectedLineError(
            code,
            f"{field} {text[:40]!r}: with a decimal comma a point divides thousands, as 1.234,5:"
            " leave out decimal=comma where it is the decimal point",
        )
    return text.replace(".", "").replace(",", ".")


def _fields(line: bytes, dialect: Dialect) -> list[str]:
    """Return the fields of a line, empty where it is too short."""
    try:
        text = line.decode()
    except UnicodeDecodeError as error:
        raise RejectedLineError(
            "bad_text", f"byte {error.start} of the line is not UTF-8: send text lines {FORM}"
        ) from error
    # Without a header the delimiter is per line: the first one may not be a tick.
    delimiter = delimiter_of(text) if dialect.header is None else dialect.delimiter
    try:
        fields = split(text, delimiter)
    except csv.Error as error:
        raise RejectedLineError("bad_line", f"its quotes cannot be read: {error}") from error
    if not 2 <= len(fields) <= dialect.width:
        form = FORM if dialect.header is None else dialect.header.decode(errors="replace")[:200]
        raise RejectedLineError("bad_line", f"{len(fields)} fields; a tick has {form}")
    for each in (Field.SYMBOL, Field.PRICE):
        if dialect.layout is not None and each not in dialect.layout.places:
            raise RejectedLineError(
                "bad_header",
                f"the header names no column {each.upper()}: add one, or leave the header out",
            )
    return fields + [""] * (dialect.width - len(fields))


def check_symbol(symbol: str, field: str = "SYMBOL") -> str:
    """Return the symbol. Raises RejectedLineError `bad_symbol`."""
    try:
        return symbols.check_symbol(symbol)
    except ValueError as error:
        raise RejectedLineError("bad_symbol", f"{field} {symbol[:40]!r} {error}") from error


def price_of(field: str, text: str) -> Number:
    """Read a decimal. Raises RejectedLineError that names `field`."""
    return number_of(field, "bad_price", text)


def size_of(field: str, text: str) -> Number:
    """Read a decimal of at least 0. Raises RejectedLineError that names `field`."""
    number = number_of(field, "bad_size", text)
    if number.mantissa < 0:
        raise RejectedLineError("bad_size", f"{field} {text!r} must not be negative")
    return number


def number_of(field: str, code: str, text: str) -> Number:
    """Read a decimal. Raises RejectedLineError, `code` or `out_of_range`, that names `field`."""
    if len(text) > _MAX_NUMBER_BYTES or _NUMBER.fullmatch(text) is None:
        raise RejectedLineError(
            code, f"{field} {text[:40]!r} is not a decimal number such as 101.25{_hint(text)}"
        )
    sign, digits, exponent = Decimal(text).as_tuple()
    assert isinstance(exponent, int)  # the pattern admits no NaN and no infinity
    mantissa = int("".join(map(str, digits)))
    while mantissa and mantissa % 10 == 0 and exponent < 0:
        mantissa //= 10
        exponent += 1
    if mantissa == 0:
        return Number(0, 0)
    if exponent > 0:
        mantissa *= 10**exponent
        exponent = 0
    if mantissa >= 10**MAX_WIDE_DIGITS or -exponent > MAX_SCALE:
        raise RejectedLineError(
            "out_of_range",
            f"{field} {text[:40]!r} has more than {MAX_WIDE_DIGITS} digits or {MAX_SCALE} decimals",
        )
    return Number(-mantissa if sign else mantissa, -exponent)


def _hint(text: str) -> str:
    if re.fullmatch(r"[+-]?[1-9]\d{0,2},\d{3}", text):
        return (
            ": leave out the comma if it separates thousands; declare it if it is the decimal"
            " point (Content-Type: text/csv; decimal=comma)"
        )
    if re.fullmatch(r"[+-]?\d+,\d+", text):
        return ": declare a decimal comma (Content-Type: text/csv; decimal=comma), or write a point"
    if re.fullmatch(r"[+-]?\d{1,3}([ ,'_]\d{3})+(\.\d*)?", text):
        return ": leave out what separates the thousands"
    return ""


def time_of(field: str, text: str) -> int:
    """Read a time in any unit, or ISO 8601. Raises RejectedLineError `bad_time`."""
    try:
        us = parse_us(text)
    except ValueError as error:
        raise RejectedLineError("bad_time", f"{field} {text[:40]!r} {error}") from error
    if not EARLIEST_US <= us < 10**17:
        raise RejectedLineError("bad_time", f"{field} {text[:40]!r} is not between 1980 and 5138")
    return us


def read_side(field: str, text: str) -> int:
    """Read the aggressor's side. Raises RejectedLineError `bad_side`."""
    side = _SIDES.get(text.lower())
    if side is None:
        allowed = "buy, sell or empty (is_buyer_maker: true, false, 1, 0 or empty)"
        raise RejectedLineError("bad_side", f"{field} {text[:40]!r} must be {allowed}")
    return side


def read_trade_id(field: str, text: str) -> tuple[int, int, str]:
    """Return kind, integer and text of a trade id. Raises RejectedLineError `bad_trade_id`."""
    if not text:
        return NO_ID, 0, ""
    if text.isascii() and text.isdigit() and len(text) <= 18 and (text[0] != "0" or text == "0"):
        return INTEGER_ID, int(text), ""
    if len(text.encode(errors="surrogatepass")) > MAX_TRADE_ID_BYTES or not text.isprintable():
        raise RejectedLineError(
            "bad_trade_id",
            f"{field} {text[:40]!r} must be at most {MAX_TRADE_ID_BYTES} printable characters",
        )
    return TEXT_ID, 0, text
