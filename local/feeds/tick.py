"""One tick as sent by a feed: numbers stay the text of the source."""

from __future__ import annotations

from typing import Final, NamedTuple

MAX_FIELD_CHARS: Final = 128
"""Longest field of a line, so that a line of six always fits into one datagram."""


class Tick(NamedTuple):
    """One trade print.

    `price` and `size` are plain decimal text, `time_ms` is milliseconds since 1970 UTC (None: the
    receiver's clock shall decide), `side` is the aggressor's (`buy`, `sell` or empty), `trade_id`,
    `size` and the sale `conditions` may be empty.
    """

    symbol: str
    price: str
    size: str = ""
    time_ms: int | None = None
    side: str = ""
    trade_id: str = ""
    conditions: str = ""

    def line(self) -> bytes:
        """Return the line `SYMBOL,PRICE[,SIZE[,TIME_MS[,SIDE[,TRADE_ID]]]]`, without conditions."""
        time = "" if self.time_ms is None else self.time_ms
        text = f"{self.symbol},{self.price},{self.size},{time},{self.side},{self.trade_id}"
        return text.rstrip(",").encode()


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
