"""Ticks of plain values, and the batches that normalize emits for them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import numpy as np

from shared.wire.instrument_table import Entries, Entry
from shared.wire.ticks import Ticks


@dataclass(frozen=True, order=True)
class Tick:
    """One trade; ids are unique integers here, so (time, id) is the total order."""

    instrument: str
    time_us: int
    trade_id: int
    price: int
    size: int
    side: int

    @property
    def decimal_price(self) -> Decimal:
        return Decimal(self.price).scaleb(-2)

    @property
    def decimal_size(self) -> Decimal:
        return Decimal(self.size).scaleb(-3)


def as_columns(ticks: Iterable[Tick], source: str = "udp-1", first_sequence: int = 0) -> Ticks:
    """A batch of ticks as normalize emits it: prices with 2 decimals, sizes with 3."""
    rows = sorted(ticks, key=lambda t: (t.instrument, t.time_us, t.trade_id))
    names = sorted({t.instrument for t in rows})

    def column(values: list[int], dtype: type = np.int64) -> Any:
        return np.array(values, dtype=dtype)

    return Ticks(
        source,
        Entries.of(*(Entry(name, 2, 3, sum(t.instrument == name for t in rows)) for name in names)),
        column([t.time_us for t in rows]),
        column([t.price for t in rows]),
        column([t.size for t in rows]),
        column([t.side for t in rows], np.uint8),
        np.ones(len(rows), dtype=np.uint8),
        column([t.trade_id for t in rows]),
        None,
        column([t.time_us for t in rows]),
        column(list(range(first_sequence, first_sequence + len(rows)))),
        np.zeros(len(rows), dtype=np.uint8),
    )
