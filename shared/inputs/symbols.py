"""The instruments of many rows: each distinct symbol is looked at once."""

from __future__ import annotations

import numpy as np

from shared.inputs.words import Bools, Spans, Text
from shared.symbols import check_symbol
from shared.ticks import Int64s


def good_symbols(text: Text, spans: Spans, plain: Bools) -> tuple[tuple[str, ...], Int64s]:
    """Return the symbols of the plain rows, and for each of those rows the number of its own.

    Rows whose symbol is none leave `plain`.
    """
    rows = np.flatnonzero(plain)
    one_each, symbol = text.distinct(spans.at(rows))
    names = [
        text.cut(spans, row).decode(errors="surrogateescape") for row in rows[one_each].tolist()
    ]
    good = np.array([_is_symbol(name) for name in names], dtype=bool)
    if good.all():
        return tuple(names), symbol
    plain[rows[~good[symbol]]] = False
    renumbered = np.cumsum(good) - 1
    return (
        tuple(name for name, is_good in zip(names, good.tolist(), strict=True) if is_good),
        renumbered[symbol[good[symbol]]],
    )


def _is_symbol(name: str) -> bool:
    try:
        return check_symbol(name) == name
    except ValueError:
        return False
