"""A generated market and its candles by definition, in plain Python."""

from __future__ import annotations

import random
from collections import defaultdict
from decimal import Decimal
from typing import Any, NamedTuple


class Trade(NamedTuple):
    """One trade as its sender has it."""

    time_ms: int
    trade_id: int
    price: Decimal
    size: Decimal
    side: str

    def line(self, symbol: str) -> str:
        return f"{symbol},{self.price},{self.size},{self.time_ms},{self.side},{self.trade_id}"


def generated_trades(seed: int, count: int, start_ms: int = 1_600_000_000_000) -> list[Trade]:
    """Trades with many ties in time, gaps of minutes, and prices of eight decimals."""
    source = random.Random(seed)
    time_ms, price = start_ms, 1_234_567_890
    trades = []
    for trade_id in range(1, count + 1):
        time_ms += source.choice([0, 0, 1, 40, 700, 9_000, 150_000 if trade_id % 97 == 0 else 3])
        price = max(1, price + source.randint(-5_000_000, 5_000_000))
        trades.append(
            Trade(
                time_ms,
                trade_id,
                Decimal(price).scaleb(-8),
                Decimal(source.randint(1, 10**9)).scaleb(-source.randint(0, 6)),
                source.choice(["buy", "sell"]),
            )
        )
    return trades


def over_days(trades: list[Trade], days: int) -> list[Trade]:
    """The same trades with their times stretched over so many days."""
    first, last = trades[0].time_ms, trades[-1].time_ms
    factor = days * 86_400_000 // (last - first)
    return [t._replace(time_ms=first + (t.time_ms - first) * factor) for t in trades]


def expected_candles(trades: list[Trade], minutes: int) -> list[dict[str, Any]]:
    """The definition: trades of an interval in the order of (time, trade id)."""
    length_ms = minutes * 60_000
    groups: dict[int, list[Trade]] = defaultdict(list)
    for trade in sorted(set(trades)):
        groups[trade.time_ms // length_ms * length_ms].append(trade)
    return [
        {
            "t": start,
            "o": some[0].price,
            "h": max(t.price for t in some),
            "l": min(t.price for t in some),
            "c": some[-1].price,
            "v": sum((t.size for t in some), Decimal(0)),
            "n": len(some),
            "bv": sum((t.size for t in some if t.side == "buy"), Decimal(0)),
            "sv": sum((t.size for t in some if t.side == "sell"), Decimal(0)),
        }
        for start, some in sorted(groups.items())
    ]


def exact(candle: dict[str, Any]) -> dict[str, Any]:
    """A candle of the API with decimals as numbers, without its flags."""
    numbers = {name: Decimal(candle[name]) for name in ("o", "h", "l", "c", "v", "bv", "sv")}
    return {"t": candle["t"], "n": candle["n"], **numbers}
