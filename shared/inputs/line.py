"""One CSV line, in any form that a sender may write, or the reason why it is no tick.

The plain forms take the fast way (`lines.py`); this is the reference that it must agree with, and
the place for what is rare: exponents, signs, long numbers, and everything that is wrong.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from typing import Final, NamedTuple

from shared.decimals import MAX_SCALE, MAX_WIDE_DIGITS
from shared.ticks import INTEGER_ID, NO_ID, TEXT_ID

FIELDS: Final = ("SYMBOL", "PRICE", "SIZE", "TIME_MS", "SIDE", "TRADE_ID")

MAX_SYMBOL_BYTES: Final = 32
SYMBOL: Final = re.compile(rf"[A-Za-z0-9][A-Za-z0-9._:/-]{{0,{MAX_SYMBOL_BYTES - 1}}}")
MAX_TRADE_ID_BYTES: Final = 64
EARLIEST_MS: Final = 315_532_800_000
"""1980-01-01: an earlier time is a time in seconds, or none."""
LATEST_MS: Final = 10**15 - 1
"""The largest of 15 digits; in microseconds it fits 63 bits with much to spare."""

_NUMBER: Final = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d{1,3})?", re.ASCII)
_MAX_NUMBER_BYTES: Final = 80
_SIDES: Final = {"": 0, "buy": 1, "b": 1, "sell": 2, "s": 2}


class Number(NamedTuple):
    """value = mantissa x 10^-scale; at most MAX_WIDE_DIGITS digits, without trailing zeros."""

    mantissa: int
    scale: int


@dataclass(frozen=True, slots=True)
class Line:
    """A tick as its line says it. `time_ms` is None where the line has none."""

    symbol: str
    price: Number
    size: Number
    time_ms: int | None
    side: int
    trade_id_kind: int
    trade_id: int
    trade_id_text: str


class RejectedLineError(ValueError):
    """The line is no tick. `code` is a metric label; the message names the field and the fix."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code = code


def parse_line(line: bytes) -> Line:
    """Read SYMBOL,PRICE[,SIZE[,TIME_MS[,SIDE[,TRADE_ID]]]]. Raises RejectedLineError."""
    try:
        text = line.decode("ascii")
    except UnicodeDecodeError as error:
        raise RejectedLineError(
            "bad_text",
            f"byte {error.start} of the line is not ASCII: send text lines {','.join(FIELDS)}",
        ) from error
    fields = text.split(",")
    if not 2 <= len(fields) <= len(FIELDS):
        raise RejectedLineError(
            "bad_line", f"{len(fields)} fields; a tick has 2 to 6: {','.join(FIELDS)}"
        )
    symbol, price, size, time_ms, side, trade_id = (fields + [""] * 4)[: len(FIELDS)]
    kind, integer, id_text = _trade_id(trade_id)
    return Line(
        _symbol(symbol),
        _price(price),
        _size(size),
        _time_ms(time_ms),
        _side(side),
        kind,
        integer,
        id_text,
    )


def check_symbol(symbol: str, field: str = "SYMBOL") -> str:
    """Return the symbol. Raises RejectedLineError `bad_symbol`."""
    if SYMBOL.fullmatch(symbol) is None:
        raise RejectedLineError(
            "bad_symbol",
            f"{field} {symbol[:40]!r} must be 1 to {MAX_SYMBOL_BYTES} of A-Z a-z 0-9 . _ : / -"
            " and begin with a letter or digit",
        )
    return symbol


_symbol = check_symbol


def _price(text: str) -> Number:
    return price_of("PRICE", text)


def price_of(field: str, text: str) -> Number:
    """Read a decimal. Raises RejectedLineError that names `field`."""
    return number_of(field, "bad_price", text)


def _size(text: str) -> Number:
    return size_of("SIZE", text) if text else Number(0, 0)


def size_of(field: str, text: str) -> Number:
    """Read a decimal of at least 0. Raises RejectedLineError that names `field`."""
    number = number_of(field, "bad_size", text)
    if number.mantissa < 0:
        raise RejectedLineError("bad_size", f"{field} {text!r} must not be negative")
    return number


def number_of(field: str, code: str, text: str) -> Number:
    """Read a decimal. Raises RejectedLineError, `code` or `out_of_range`, that names `field`."""
    if len(text) > _MAX_NUMBER_BYTES or _NUMBER.fullmatch(text) is None:
        raise RejectedLineError(code, f"{field} {text[:40]!r} is no decimal number such as 101.25")
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


def _time_ms(text: str) -> int | None:
    if not text:
        return None
    if not (text.isdigit() and len(text) <= len(str(LATEST_MS))):
        raise RejectedLineError(
            "bad_time", f"TIME_MS {text[:40]!r} is no whole number of milliseconds since 1970 UTC"
        )
    time_ms = int(text)
    if time_ms < EARLIEST_MS:
        raise RejectedLineError(
            "bad_time", f"TIME_MS {text} is before 1980: it must be milliseconds, not seconds"
        )
    return time_ms


def _side(text: str) -> int:
    side = _SIDES.get(text.lower())
    if side is None:
        raise RejectedLineError("bad_side", f"SIDE {text[:40]!r} must be buy, sell or empty")
    return side


def _trade_id(text: str) -> tuple[int, int, str]:
    if not text:
        return NO_ID, 0, ""
    if text.isdigit() and len(text) <= 18 and (text[0] != "0" or text == "0"):
        return INTEGER_ID, int(text), ""
    if len(text) > MAX_TRADE_ID_BYTES or not text.isprintable():
        raise RejectedLineError(
            "bad_trade_id",
            f"TRADE_ID {text[:40]!r} must be at most {MAX_TRADE_ID_BYTES} printable characters",
        )
    return TEXT_ID, 0, text
