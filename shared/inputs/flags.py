"""The flags of ticks, from the conditions that their senders gave."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np

from shared.inputs.conditions import read_conditions
from shared.inputs.parsed import Parsed

OFFICIAL_PRICE = "official_price"
"""The kind of a skipped message: an official price, which is not a trade."""


def with_flags(parsed: Parsed) -> Parsed:
    """Return the ticks with their flags; skip what is not a trade, and count unknown codes."""
    rows = parsed.rows
    if rows.conditions is None:
        return parsed
    distinct, number = np.unique(rows.conditions.astype(str), return_inverse=True)
    read = [read_conditions(text) for text in distinct.tolist()]
    counts = np.bincount(number, minlength=len(read)).tolist()
    unread = Counter(parsed.unread)
    for each, count in zip(read, counts, strict=True):
        unread.update(dict.fromkeys((f"condition {code}" for code in each.unknown), count))
    trades = np.array([each.is_trade for each in read], dtype=bool)[number]
    flags = np.array([each.flags for each in read], dtype=np.uint8)[number]
    rows = replace(rows, flags=flags, conditions=None).at(np.flatnonzero(trades))
    skipped = Counter(parsed.skipped)
    if not trades.all():
        skipped[OFFICIAL_PRICE] += int(np.count_nonzero(~trades))
    return parsed._replace(rows=rows, skipped=skipped, unread=unread)
