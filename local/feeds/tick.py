"""One tick as sent by a feed: numbers stay the text of the source."""

from __future__ import annotations

import re
from decimal import Decimal, InvalidOperation
from typing import Final, NamedTuple

MAX_FIELD_CHARS: Final = 128
"""Longest field of a line, so that a line of six always fits into one datagram."""

_PLAIN: Final = re.compile(r"-?[0-9]+(?:\.[0-9]+)?", re.ASCII)
_EXPONENT: Final = re.compile(
    r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]{1,3})?", re.ASCII
)


class Tick(NamedTuple):
    """One trade print.

    `price` and `size` are plain decimal text, `time_ms` is milliseconds since 1970 UTC (None: the
    receiver's clock shall decide), `side` is the aggressor's (`buy`, `sell` or empty), `trade_id`
    and `size` may be empty.
    """

    symbol: str
    price: str
    size: str = ""
    time_ms: int | None = None
    side: str = ""
    trade_id: str = ""

    def line(self) -> bytes:
        """Return the line `SYMBOL,PRICE[,SIZE[,TIME_MS[,SIDE[,TRADE_ID]]]]`, without newline."""
        time = "" if self.time_ms is None else self.time_ms
        text = f"{self.symbol},{self.price},{self.size},{time},{self.side},{self.trade_id}"
        return text.rstrip(",").encode()


def plain_decimal(text: str) -> str:
    """Return `text` itself if it is a plain decimal, else the same number without an exponent.

    Raises ValueError: it is not a finite decimal number, or a longer one than a line may carry.
    """
    if _PLAIN.fullmatch(text) is None:
        if _EXPONENT.fullmatch(text) is None:
            raise ValueError("is not a decimal number")
        try:
            text = format(Decimal(text), "f")
        except InvalidOperation:  # pragma: no cover - the pattern admits no such text
            raise ValueError("is not a decimal number") from None
    if len(text) > MAX_FIELD_CHARS:
        raise ValueError(f"has more than {MAX_FIELD_CHARS} characters")
    return text


def plain_symbol(text: str) -> str:
    """Return `text` if a line can carry it as a symbol.

    Raises ValueError: it is empty, too long, or holds a comma, a line break or another control.
    """
    if not text:
        raise ValueError("is empty")
    if len(text) > MAX_FIELD_CHARS:
        raise ValueError(f"has more than {MAX_FIELD_CHARS} characters")
    if "," in text or not text.isprintable():
        raise ValueError("holds a comma or a control character")
    return text
