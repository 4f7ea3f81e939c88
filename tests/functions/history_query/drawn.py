"""Patterns as persist writes them."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from shared.wire.patterns import Pattern, pattern_id

MINUTE_US = 60_000_000


def pattern(minute: int, name: str = "cdl_doji", symbol: str = "A/B", **changes: Any) -> Pattern:
    """A pattern that the candle of a minute completes."""
    start_us = minute * MINUTE_US
    price = Decimal("100.10")
    values: dict[str, Any] = {
        "id": pattern_id(symbol, "1m", name, start_us),
        "instrument": symbol,
        "timeframe": "1m",
        "pattern": name,
        "kind": "candlestick",
        "direction": 1,
        "confidence": 0.8,
        "level": "medium",
        "trigger_price": price,
        "start_us": start_us,
        "end_us": start_us + MINUTE_US,
        "open": price,
        "high": price,
        "low": price,
        "close": price,
        "volume": Decimal(7),
        "revision": 1,
        "begin_us": start_us,
        "features": {"body": 0.5},
    }
    return Pattern(**(values | changes))
