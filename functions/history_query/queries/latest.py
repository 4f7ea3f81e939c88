"""The latest trade of each instrument, from the live state."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from shared.realtime.readers import Latest, LiveState


@dataclass(frozen=True, slots=True)
class LatestTrades:
    """Reads latest trades. Both methods raise TransientError while Redis is away."""

    live: LiveState

    def all(self) -> list[dict[str, Any]]:
        """Return every instrument's latest trade, by symbol."""
        return [_as_json(trade) for trade in self.live.latest()]

    def one(self, symbol: str) -> dict[str, Any] | None:
        """Return an instrument's latest trade, or None."""
        return next(map(_as_json, self.live.latest([symbol])), None)


def _as_json(trade: Latest) -> dict[str, Any]:
    return {
        "symbol": trade.instrument,
        "price": trade.price,
        "size": trade.size,
        "t": trade.time_us // 1000,
        "received": trade.received_us // 1000,
    }
