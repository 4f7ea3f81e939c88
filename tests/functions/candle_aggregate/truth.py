"""Candles by definition in plain Python: each trade once, the first in the total order."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any, NamedTuple

import numpy as np

from shared.market.order import NO_ORDER_ID, OrderKey, source_key
from shared.market.timeframes import Timeframe
from shared.wire.busts import Bust
from shared.wire.instrument_table import Entries, Entry
from shared.wire.ticks import CANCELLED, INTEGER_ID, NO_ID, TEXT_ID, VOLUME_ONLY, Ticks

MINUTE = 60_000_000
PRICE_SCALE, SIZE_SCALE = 2, 3


class Row(NamedTuple):
    """A tick as a bridge stamped it."""

    instrument: str
    time_us: int
    id_kind: int
    id_number: int
    id_text: str
    receive_us: int
    source: str
    sequence: int
    price: int
    size: int
    side: int
    flags: int = 0

    @property
    def place(self) -> tuple[str, OrderKey]:
        """Its instrument, and its place in the total order."""
        return self.instrument, OrderKey(
            self.time_us,
            self.id_number if self.id_kind == INTEGER_ID else NO_ORDER_ID,
            self.receive_us,
            source_key(self.source),
            self.sequence,
        )

    @property
    def trade(self) -> tuple[object, ...]:
        """The identity of a trade in every repetition; a tick without an id is its own."""
        if self.id_kind == NO_ID:
            return self
        return (self.instrument, self.time_us // MINUTE, *self[2:5])


def with_id(trade_id: int | str | None) -> tuple[int, int, str]:
    """Kind, number and text of a trade id."""
    if trade_id is None:
        return NO_ID, 0, ""
    if isinstance(trade_id, int):
        return INTEGER_ID, trade_id, ""
    return TEXT_ID, 0, trade_id


def as_ticks(rows: Iterable[Row]) -> Ticks:
    """The batch that normalize emits; all rows have one source."""
    ordered = sorted(rows, key=lambda row: row.place)
    names = sorted({row.instrument for row in ordered})
    counts = [sum(row.instrument == name for row in ordered) for name in names]

    def column(values: list[Any], dtype: Any = np.int64) -> Any:
        return np.array(values, dtype=dtype)

    texts = [row.id_text for row in ordered]
    return Ticks(
        ordered[0].source,
        Entries.of(
            *(
                Entry(name, PRICE_SCALE, SIZE_SCALE, n)
                for name, n in zip(names, counts, strict=True)
            )
        ),
        column([row.time_us for row in ordered]),
        column([row.price for row in ordered]),
        column([row.size for row in ordered]),
        column([row.side for row in ordered], np.uint8),
        column([row.id_kind for row in ordered], np.uint8),
        column([row.id_number for row in ordered]),
        column(texts, object) if any(texts) else None,
        column([row.receive_us for row in ordered]),
        column([row.sequence for row in ordered]),
        column([row.flags for row in ordered], np.uint8),
    )


def true_candles(
    rows: Sequence[Row], timeframe: Timeframe, busts: Sequence[Bust] = ()
) -> dict[tuple[str, str, int], dict[str, Any]]:
    """Return the candles of stored rows, by (instrument, timeframe, start).

    A trade with busts is as its last received one says. A minute in which no trade makes a price is
    no candle, and counts for no longer one.
    """
    counted: dict[object, Row] = {}
    first: dict[str, int] = {}
    for row in sorted(set(rows), key=lambda row: row.place):
        counted.setdefault(row.trade, row)
        first[row.instrument] = min(row.time_us, first.get(row.instrument, row.time_us))
    groups: dict[tuple[str, str, int], list[Row]] = defaultdict(list)
    prints = dict(counted)
    for bust in sorted(busts, key=lambda bust: (bust.receive_time_us, bust.sequence)):
        trade = (bust.instrument, bust.event_time_us // MINUTE, *_id_of(bust.trade_id))
        if trade in counted:
            counted[trade] = _busted(prints[trade], bust)
    minutes = {
        (row.instrument, row.time_us // MINUTE)
        for row in counted.values()
        if not row.flags & (VOLUME_ONLY | CANCELLED)
    }
    for row in sorted(counted.values(), key=lambda row: row.place):
        if (row.instrument, row.time_us // MINUTE) not in minutes or row.flags & CANCELLED:
            continue
        start = timeframe.start_us(row.time_us)
        groups[row.instrument, timeframe.name, start].append(row)
    return {
        key: _candle(some) | {"partial": key[2] < first[key[0]] < key[2] + timeframe.length_us}
        for key, some in groups.items()
    }


def _id_of(text: str) -> tuple[int, int, str]:
    return with_id(int(text) if text.isdigit() else text)


def _busted(row: Row, bust: Bust) -> Row:
    """The trade after a bust; fields that it lacks stay as sent."""
    if not bust.is_correction:
        return row._replace(flags=row.flags | CANCELLED)
    price, size = (Decimal(each) if each else None for each in (bust.price, bust.size))
    if price is not None:
        row = row._replace(price=int(price.scaleb(PRICE_SCALE)))
    if size is not None:
        row = row._replace(size=int(size.scaleb(SIZE_SCALE)))
    return row._replace(receive_us=bust.receive_time_us, source="udp-2", sequence=bust.sequence)


def _candle(rows: Sequence[Row]) -> dict[str, Any]:
    prices = [Decimal(row.price).scaleb(-PRICE_SCALE) for row in rows]
    makers = [n for n, row in enumerate(rows) if not row.flags & VOLUME_ONLY]
    made = [prices[n] for n in makers]
    sizes = [Decimal(row.size).scaleb(-SIZE_SCALE) for row in rows]

    def sold(side: int) -> Decimal:
        return sum((s for s, r in zip(sizes, rows, strict=True) if r.side == side), Decimal(0))

    return {
        "open": made[0],
        "high": max(made),
        "low": min(made),
        "close": made[-1],
        "volume": sum(sizes, Decimal(0)),
        "notional": sum((p * s for p, s in zip(prices, sizes, strict=True)), Decimal(0)),
        "trade_count": len(rows),
        "buy_volume": sold(1),
        "sell_volume": sold(2),
        "first_time_us": rows[makers[0]].time_us,
        "last_time_us": rows[makers[-1]].time_us,
    }
