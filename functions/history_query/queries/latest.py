"""The latest trade of each instrument, from the live state, and its latest quote, from Postgres."""

from __future__ import annotations

from collections.abc import Sequence
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


def latest_trades(
    live: LiveState, symbols: Sequence[str] | None = None
) -> dict[str, dict[str, Any]]:
    """Return the latest trades of these instruments, or of all, by instrument.

    Raises TransientError while Redis is away.
    """
    return {each.instrument: _trade_json(each) for each in live.latest(symbols)}


def latest_quotes(
    postgres: Postgres, symbols: Sequence[str] | None = None
) -> dict[str, dict[str, Any]]:
    """Return the latest quotes of these instruments, or of all, by instrument.

    Raises TransientError while Postgres is away.
    """
    with postgres.connection() as connection:
        if symbols is None:
            rows = connection.execute(_SELECT).fetchall()
        else:
            where = f"{_SELECT} WHERE instrument = ANY(%s)"
            rows = connection.execute(where, (list(symbols),)).fetchall()
    return {name: _quote_json(*quote) for name, *quote in rows}


def _trade_json(trade: Latest) -> dict[str, Any]:
    return {
        "symbol": trade.instrument,
        "price": trade.price,
        "size": trade.size,
        "t": trade.time_us // 1000,
        "received": trade.received_us // 1000,
    }


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
