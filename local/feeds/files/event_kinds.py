"""Kinds of events in recorded tables: which rows are trades that count."""

from __future__ import annotations

import re
from typing import Final

_KINDS: Final = frozenset(
    {"eventtype", "recordtype", "messagetype", "msgtype", "ticktype", "event", "action", "type"}
)
_WORD: Final = re.compile("[A-Z]?[a-z]+|[A-Z]+(?![a-z])")
_VOID: Final = ("cancel", "bust", "break", "broke", "correct")


def names_a_kind(column: str) -> bool:
    """Return whether a column of this name may say the kind of an event."""
    return re.sub(r"[\W_]", "", column.lower()) in _KINDS


def names_trade(kind: str) -> bool:
    """Return whether a kind of event is a trade that counts: `TRADE NB`, not `TradeCancel`."""
    words = [each.lower() for each in _WORD.findall(kind)]
    return not {"trade", "trades"}.isdisjoint(words) and not any(
        word.startswith(_VOID) for word in words
    )
