"""The instruments of many rows: each distinct symbol is validated once."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from shared.inputs.columns.packed_text import Bools, Spans, Text
from shared.market.symbols import check_symbol
from shared.wire.ticks import Int64s


def good_symbols(text: Text, spans: Spans, plain: Bools) -> tuple[tuple[str, ...], Int64s]:
    """Return the valid symbols of the plain rows, and the symbol number of each row.

    Rows with an invalid symbol are removed from `plain`.
    """
    rows = np.flatnonzero(plain)
    one_each, symbol = text.distinct(spans.at(rows))
    names = [_name(each) for each in text.cuts(spans.at(rows[one_each]))]
    valid = tuple(name for name in names if name is not None)
    if len(valid) == len(names):
        return valid, symbol
    is_valid = np.array([name is not None for name in names], dtype=bool)
    plain[rows[~is_valid[symbol]]] = False
    renumbered = np.cumsum(is_valid) - 1
    return valid, renumbered[symbol[is_valid[symbol]]]


@lru_cache(maxsize=65_536)
def _name(text: bytes) -> str | None:
    name = text.decode(errors="surrogateescape")
    try:
        return name if check_symbol(name) == name else None
    except ValueError:
        return None
