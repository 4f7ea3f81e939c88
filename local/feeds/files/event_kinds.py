"""Kinds of events in recorded tables: which rows are trades that count."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

_KINDS: Final = frozenset(
    {"eventtype", "recordtype", "messagetype", "msgtype", "ticktype", "event", "action", "type"}
)
_WORD: Final = re.compile("[A-Z]?[a-z]+|[A-Z]+(?![a-z])")
_VOID: Final = re.compile(r"cancel|bust|correct|break|broken?\b")
_OTHER: Final = {"quote", "quotes", "bid", "ask", "offer", "order", "book", "depth"}


def names_a_kind(column: str) -> bool:
    """Return whether a column of this name may say the kind of an event."""
    return re.sub(r"[\W_]", "", column.lower()) in _KINDS


def names_trade(kind: str) -> bool:
    """Return whether a kind of event is a trade that counts: `TRADE NB`, not `TradeCancel`."""
    words = _words(kind)
    return not words.isdisjoint({"trade", "trades"}) and not any(map(_VOID.search, words))


def tell_trades(kinds: Iterable[str]) -> bool:
    """Return whether kinds of events tell trades from quotes, orders or cancelled trades.

    `Block Trade` beside `REGULAR` does not.
    """
    known = {kind: names_trade(kind) for kind in kinds if kind}
    others = (_words(kind) for kind, is_trade in known.items() if not is_trade)
    return any(known.values()) and (
        all(known.values())
        or any(words & _OTHER or any(map(_VOID.search, words)) for words in others)
    )


def _words(kind: str) -> set[str]:
    return {each.lower() for each in _WORD.findall(kind)}
