"""Trades at even distances, of the day before the world's clock."""

from __future__ import annotations

from typing import Final

from tests.functions.candle_aggregate.truth import Row, with_id
from tests.functions.candle_aggregate.world import NOW_US

BEGIN_US: Final = NOW_US // 86_400_000_000 * 86_400_000_000 - 86_400_000_000
SECOND: Final = 1_000_000


def trades(first: int, count: int, *, name: str = "A", every_s: int = 20) -> list[Row]:
    """Trades with ids, the first at the start of the day."""
    return [
        Row(
            *(name, BEGIN_US + n * every_s * SECOND, *with_id(n), NOW_US + n, "udp-1", n),
            *(100 + n % 7, 1 + n % 3, n % 3),
        )
        for n in range(first, first + count)
    ]


def trade(
    second: float,
    trade_id: int | str | None,
    price: int,
    *,
    name: str = "A",
    received: int = 0,
    sequence: int = 0,
    flags: int = 0,
) -> Row:
    """One trade, so many seconds after the start of the day."""
    return Row(
        *(name, BEGIN_US + round(second * SECOND), *with_id(trade_id), NOW_US + received, "udp-1"),
        *(sequence or 1_000_000 + round(second * 10), price, 5, 1, flags),
    )
