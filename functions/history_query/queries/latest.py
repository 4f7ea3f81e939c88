"""The latest trade of each instrument, from the live state, and its latest quote, from Postgres."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from shared.market.decimals import EXACT, to_text
from shared.realtime.readers import Latest, LiveState
from shared.stores.postgres import Postgres

_SELECT: Final = "SELECT instrument, bid, ask, bid_size, ask_size, event_time_us FROM latest_quotes"
_HALF: Final = Decimal("0.5")

NO_QUOTE: Final = dict.fromkeys(
    ("bid", "ask", "bid_size", "ask_size", "spread", "mid", "quote_t"), None
)
"""Fields of an instrument without a quote."""


@dataclass(frozen=True, slots=True)
class LatestTrades:
    """Reads latest trades. Both methods raise TransientError while Redis is away."""

    live: LiveState

    def all(self) -> list[dict[str, Any]]:
        """Return every instrument's latest trade, by symbol."""
        return [_trade_json(trade) for trade in self.live.latest()]

    def one(self, symbol: str) -> dict[str, Any] | None:
        """Return an instrument's latest trade, or None."""
        return next(map(_trade_json, self.live.latest([symbol])), None)


def _trade_json(trade: Latest) -> dict[str, Any]:
    return {
        "symbol": trade.instrument,
        "price": trade.price,
        "size": trade.size,
        "t": trade.time_us // 1000,
        "received": trade.received_us // 1000,
    }


@dataclass(frozen=True, slots=True)
class LatestQuotes:
    """Reads latest quotes. Both methods raise TransientError while Postgres is away."""

    postgres: Postgres

    def all(self) -> dict[str, dict[str, Any]]:
        """Return every instrument's latest quote, by instrument."""
        with self.postgres.connection() as connection:
            rows = connection.execute(_SELECT).fetchall()
        return {name: _quote_json(*quote) for name, *quote in rows}

    def of_symbols(self, symbols: Sequence[str]) -> dict[str, dict[str, Any]]:
        """Return the latest quotes of these instruments, if any, by instrument."""
        with self.postgres.connection() as connection:
            where = f"{_SELECT} WHERE instrument = ANY(%s)"
            rows = connection.execute(where, (list(symbols),)).fetchall()
        return {name: _quote_json(*quote) for name, *quote in rows}

    def one(self, symbol: str) -> dict[str, Any] | None:
        """Return an instrument's latest quote, or None."""
        with self.postgres.connection() as connection:
            row = connection.execute(f"{_SELECT} WHERE instrument = %s", (symbol,)).fetchone()
        return None if row is None else _quote_json(*row[1:])


def _quote_json(
    bid: Decimal, ask: Decimal, bid_size: Decimal | None, ask_size: Decimal | None, time_us: int
) -> dict[str, Any]:
    return {
        "bid": to_text(bid),
        "ask": to_text(ask),
        "bid_size": None if bid_size is None else to_text(bid_size),
        "ask_size": None if ask_size is None else to_text(ask_size),
        "spread": to_text(EXACT.subtract(ask, bid)),
        "mid": to_text(EXACT.multiply(EXACT.add(bid, ask), _HALF)),
        "quote_t": time_us // 1000,
    }
