"""The plain definition of a candle, tick by tick in pure Python: what the fast way must equal."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import numpy as np

from shared.entries import Entries, Entry
from shared.ticks import Ticks


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
    """A batch of ticks as normalize would emit it: prices with 2 decimals, sizes with 3."""
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
        column([0] * len(rows)),
        column(list(range(first_sequence, first_sequence + len(rows)))),
        np.zeros(len(rows), dtype=np.uint8),
    )


def reference_candles(
    ticks: Iterable[Tick], length_us: int
) -> dict[tuple[str, int], dict[str, Any]]:
    """Candles by (instrument, start): each trade counted once, in the total order."""
    groups: dict[tuple[str, int], list[Tick]] = defaultdict(list)
    for tick in sorted(set(ticks)):
        groups[tick.instrument, tick.time_us // length_us * length_us].append(tick)
    return {
        key: {
            "open": rows[0].decimal_price,
            "high": max(t.decimal_price for t in rows),
            "low": min(t.decimal_price for t in rows),
            "close": rows[-1].decimal_price,
            "volume": sum((t.decimal_size for t in rows), Decimal(0)),
            "notional": sum((t.decimal_price * t.decimal_size for t in rows), Decimal(0)),
            "trade_count": len(rows),
            "buy_volume": sum((t.decimal_size for t in rows if t.side == 1), Decimal(0)),
            "sell_volume": sum((t.decimal_size for t in rows if t.side == 2), Decimal(0)),
            "first_time_us": rows[0].time_us,
            "last_time_us": rows[-1].time_us,
        }
        for key, rows in groups.items()
    }
