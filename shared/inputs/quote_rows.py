"""Parsed quotes in columns, before they are ordered."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from shared.market.instruments import Market
from shared.wire.ticks import Int64s


@dataclass(frozen=True, slots=True, eq=False)
class QuoteRows:
    """n quotes, unordered; int64[n]. `symbol` is an index into `names`, as is `markets`.

    bid = mantissa x 10^-price_scale, ask likewise, sizes with `size_scale`; a size is NOT_GIVEN if
    the feed gives none. `time_us` is -1 if the feed gives none, `update_id` NOT_GIVEN. `payload`
    and `line`: position in the raw batch.
    """

    names: tuple[str, ...]
    markets: tuple[Market, ...]
    symbol: Int64s
    bid: Int64s
    ask: Int64s
    price_scale: Int64s
    bid_size: Int64s
    ask_size: Int64s
    size_scale: Int64s
    time_us: Int64s
    update_id: Int64s
    payload: Int64s
    line: Int64s

    def __len__(self) -> int:
        return len(self.symbol)


def no_quotes() -> QuoteRows:
    """Return none."""
    empty = np.zeros(0, dtype=np.int64)
    return QuoteRows((), (), *(empty,) * 11)
