"""A trade under a vendor's names as the texts of an input line."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Final, NamedTuple

from shared.inputs.objects.fields import CLOCK, Field, Layout

ABSENT: Final = frozenset({"null", "none", "nan", "na", "n/a", "\\n", "unknown"})
"""Notations of a missing value."""
SIDES: Final[Mapping[Field, Mapping[str, str]]] = {
    Field.SIDE: {},
    Field.BUYER_MAKER: {"true": "sell", "1": "sell", "false": "buy", "0": "buy"},
    Field.SIDE_NUMBER: {"1": "buy", "2": "sell"},
    Field.TYPE: {"buy": "buy", "b": "buy", "sell": "sell", "s": "sell"},
    Field.BOOK_SIDE: {"bid": "buy", "ask": "sell"},
}
"""The aggressor's side by field; the first that says it counts. Where the buyer was the maker, the
aggressor sold. Gemini's `type` is the side, that of others the kind of an order."""
UNDEFINED_PRICES: Final = ("9223372036.854775807", "9223372036854775807")
TAPES: Final = {"A": "cta:", "B": "cta:", "C": "utp:"}
"""Tape C is Nasdaq's. Conditions of other tapes use the codes common to both."""

_FIELDS: Final = (
    *(Field.SYMBOL, Field.PRICE, Field.SIZE, Field.TIME, Field.TRADE_ID, Field.CONDITIONS),
    *(Field.SIGNED_SIZE, Field.IS_BLOCK),
)
_BETWEEN: Final = re.compile(r"[\[\]\s,'\"]+")
_clock: Final = re.compile(CLOCK, re.ASCII)


class Trade(NamedTuple):
    """The fields of an input line, as texts."""

    symbol: str
    price: str
    size: str
    time: str
    side: str
    trade_id: str
    conditions: str


class Texts(dict[str, str]):
    """Values by name; of a name that is not there, none."""

    def __missing__(self, name: str) -> str:
        return ""


def absent(text: str) -> str:
    """Return the text, empty for a missing value."""
    return "" if text.lower() in ABSENT else text


def side_of(field: Field, text: str) -> str:
    """Return the aggressor's side; a text that is none as it is, the kind of an order as none."""
    is_none = field in (Field.TYPE, Field.BOOK_SIDE) or text.lower() in (*ABSENT, "n")
    other = "" if is_none else text
    return SIDES[field].get(text.lower(), other)


@lru_cache(maxsize=4096)
def _names_of(layout: Layout) -> tuple[list[tuple[str, ...]], list[tuple[Field, tuple[str, ...]]]]:
    """Return the names of the fields but the side, and the fields that say it, with their names."""
    places = layout.places
    sides = [(field, places[field]) for field in SIDES if field in places]
    return [places.get(field, ()) for field in _FIELDS], sides


def trade_of(text: Callable[[str], str], layout: Layout) -> Trade | None:
    """Return the trade whose values `text` has by name; None if it is void, or no trade."""
    for name, pattern in layout.left_out.items():
        if re.search(pattern, text(name)):
            return None
    names, sides = _names_of(layout)
    values = []
    for each in names:
        for name in each:
            if value := text(name):
                values.append(value)
                break
        else:
            values.append("")
    symbol, price, size, time, trade_id, conditions, signed, block = values
    trade_id = absent(trade_id)
    side = ""
    for field, each in sides:
        if side := side_of(field, next(filter(None, map(text, each)), "")):
            break
    if signed:
        size = signed.removeprefix("-")
        side = side or ("sell" if signed.startswith("-") else "buy")
    if layout.date and _clock.fullmatch(time):
        time = f"{text(layout.date)} {time}"
    if layout.ids_within and trade_id:
        scopes = [scope for name in layout.ids_within if (scope := absent(text(name))) != "0"]
        trade_id = ":".join([*filter(None, scopes), trade_id])
    if layout.nano_prices:
        price = _nano(price, layout.nano_prices)
    if block == "true":
        conditions = "volume_only"
    elif conditions and (layout.conditions_of or layout.tape):
        conditions = _qualified(absent(conditions), text, layout)
    return Trade(symbol, price, size, time, side, trade_id, conditions)


def _qualified(conditions: str, text: Callable[[str], str], layout: Layout) -> str:
    if layout.conditions_of:
        codes = " ".join(_BETWEEN.sub(" ", conditions).split())
        return f"{layout.conditions_of}:{codes}" if codes else ""
    return of_tape(conditions, text(layout.tape))


@lru_cache(maxsize=4096)
def of_tape(conditions: str, tape: str) -> str:
    """Return Alpaca's conditions, a list, each with its tape: `utp:@ utp:I`."""
    prefix = TAPES.get(tape, "")
    return " ".join(f"{prefix}{code}" for code in _BETWEEN.sub(" ", conditions).split())


def _nano(price: str, pattern: str) -> str:
    if price in UNDEFINED_PRICES:
        return ""
    if re.search(pattern, price) is None:
        return price
    digits = price.removeprefix("-").zfill(10)
    return f"{'-' * price.startswith('-')}{digits[:-9]}.{digits[-9:]}"
