"""Ticks of one instrument in difficult shapes, and the plain definition of the results."""

from __future__ import annotations

import random
from collections import defaultdict
from decimal import Decimal
from typing import Any, NamedTuple

import numpy as np

from shared.market.decimals import to_text
from shared.market.order import NO_ORDER_ID, OrderKey, source_key
from shared.wire.instrument_table import Entries, Entry
from shared.wire.ticks import INTEGER_ID, NO_ID, TEXT_ID, Ticks

MINUTE_US = 60_000_000
START_US = 1_600_000_000_000_000 // (4 * 3_600_000_000) * (4 * 3_600_000_000) - 37_000_000
"""37 s before midnight or another boundary of 4h, so that segments are split and bars cut."""


class Tick(NamedTuple):
    """A tick of one instrument."""

    time_us: int
    kind: int
    number: int
    text: str
    receive_us: int
    source: str
    sequence: int
    price: int
    price_scale: int
    size: int
    side: int

    @property
    def place(self) -> OrderKey:
        """Its place in the total order."""
        return OrderKey(
            self.time_us,
            self.number if self.kind == INTEGER_ID else NO_ORDER_ID,
            self.receive_us,
            source_key(self.source),
            self.sequence,
        )

    @property
    def decimal_price(self) -> Decimal:
        return Decimal(self.price).scaleb(-self.price_scale)

    @property
    def decimal_size(self) -> Decimal:
        return Decimal(self.size).scaleb(-3)

    @property
    def trade(self) -> tuple[Any, ...]:
        """The identity of its trade."""
        if self.kind == NO_ID:
            return (self.source, self.sequence)
        return (self.time_us // MINUTE_US, self.kind, self.number, self.text)


def generated(seed: int, count: int, gap_us: int = 400_000) -> list[Tick]:
    """Ticks with ties, every kind of trade id, two bridges, and different scales."""
    source = random.Random(seed)
    time_us, ticks = START_US, []
    for number in range(count):
        time_us += source.choice([0, 0, 1_000, gap_us, 3 * gap_us])
        kind = source.choice([NO_ID, INTEGER_ID, INTEGER_ID, TEXT_ID])
        ticks.append(
            Tick(
                time_us,
                kind,
                source.randint(1, 10**12) if kind == INTEGER_ID else 0,
                f"t{source.randint(1, 10**9)}é" if kind == TEXT_ID else "",
                time_us + source.randint(0, 10**6),
                source.choice(["udp-1", "udp-2"]),
                number << 16,
                source.randint(1, 10**6),
                source.choice([2, 2, 4]),
                source.randint(0, 10**6),
                source.randint(0, 2),
            )
        )
    return ticks


def batches(ticks: list[Tick], symbol: str, size: int) -> list[Ticks]:
    """The batches that normalize emits for them, `size` ticks each, in the given order."""
    result = []
    for n in range(0, len(ticks), size):
        chunk = ticks[n : n + size]
        for name in sorted({tick.source for tick in chunk}):
            for scale in sorted({tick.price_scale for tick in chunk}):
                rows = [t for t in chunk if (t.source, t.price_scale) == (name, scale)]
                if rows:
                    result.append(columns(rows, symbol))
    return result


def columns(rows: list[Tick], symbol: str) -> Ticks:
    """A batch of ticks of one bridge and scale, in the total order."""
    rows = sorted(rows, key=lambda row: row.place)

    def column(name: str, dtype: type = np.int64) -> Any:
        return np.array([getattr(row, name) for row in rows], dtype=dtype)

    return Ticks(
        rows[0].source,
        Entries.of(Entry(symbol, rows[0].price_scale, 3, len(rows))),
        column("time_us"),
        column("price"),
        column("size"),
        column("side", np.uint8),
        column("kind", np.uint8),
        column("number"),
        column("text", object) if any(row.text for row in rows) else None,
        column("receive_us"),
        column("sequence"),
        np.zeros(len(rows), dtype=np.uint8),
    )


def trades(ticks: list[Tick]) -> list[Tick]:
    """Each trade once, by its first tick, in the total order."""
    by_key: dict[tuple[Any, ...], Tick] = {}
    for tick in sorted(ticks, key=lambda tick: tick.place):
        by_key.setdefault(tick.trade, tick)
    return list(by_key.values())


def candles(ticks: list[Tick], seconds: int) -> list[dict[str, Any]]:
    """Candles by their definition in the API's form, without flags and VWAP."""
    groups: dict[int, list[Tick]] = defaultdict(list)
    for tick in trades(ticks):
        groups[tick.time_us // (seconds * 1_000_000) * seconds * 1000].append(tick)
    return [
        {
            "t": start,
            "o": to_text(some[0].decimal_price),
            "h": to_text(max(t.decimal_price for t in some)),
            "l": to_text(min(t.decimal_price for t in some)),
            "c": to_text(some[-1].decimal_price),
            "v": to_text(sum((t.decimal_size for t in some), Decimal(0))),
            "n": len(some),
            "bv": to_text(sum((t.decimal_size for t in some if t.side == 1), Decimal(0))),
            "sv": to_text(sum((t.decimal_size for t in some if t.side == 2), Decimal(0))),
        }
        for start, some in sorted(groups.items())
    ]
