"""Each exchange's messages of trades, over WebSocket and REST."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from itertools import groupby
from typing import Any, NamedTuple


class Trade(NamedTuple):
    """A trade; `buyer_made` means that the aggressor sold."""

    symbol: str
    id: int
    price: str
    size: str
    time_ms: int
    buyer_made: bool


class Minute(NamedTuple):
    """A candle of one minute as an exchange publishes it."""

    start_ms: int
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal
    notional: Decimal
    trades: int
    bought: Decimal


def minutes(trades: Sequence[Trade]) -> list[Minute]:
    """The candles of trades in id order, without empty minutes."""
    found = []
    for start, some in groupby(trades, key=lambda trade: trade.time_ms // 60_000):
        rows = [(Decimal(t.price), Decimal(t.size), t.buyer_made) for t in some]
        prices = [price for price, _, _ in rows]
        found.append(
            Minute(
                start * 60_000,
                *(prices[0], max(prices), min(prices), prices[-1]),
                sum((size for _, size, _ in rows), Decimal()),
                sum((price * size for price, size, _ in rows), Decimal()),
                len(rows),
                sum((size for _, size, sold in rows if not sold), Decimal()),
            )
        )
    return found


Released = Mapping[str, Sequence[Trade]]
"""The trades that happened so far, by symbol."""


class Dialect:
    """The messages of one exchange. A client must subscribe, unless the dialect says otherwise."""

    name: str
    pushes = False
    """Whether a client that says nothing is told of everything."""
    greeting = ""
    """What is sent to a client that has connected."""
    wrong: Mapping[int, Minute] = {}
    """Minutes (start, ms) that it publishes otherwise than their trades are."""

    def __init__(self) -> None:
        self.listings: dict[str, str] = {}
        """Symbols that are not traded: `halted`, `ended`, or `maintenance` of all of them."""

    def answers(self, request: dict[str, Any], released: Released) -> list[str]:
        """The responses to a client's message."""
        raise NotImplementedError

    def message(self, trade: Trade) -> str:
        raise NotImplementedError

    def heartbeats(self, released: Released) -> list[str]:
        return []

    def rest(self, path: str, query: Mapping[str, str], released: Released) -> Any:
        raise NotImplementedError

    def minutes(self, trades: Sequence[Trade]) -> list[Minute]:
        """The candles of trades in id order, without empty minutes."""
        return [self.wrong.get(each.start_ms, each) for each in minutes(trades)]


BASES = ("BTC", "ETH", *(f"FEED{number}" for number in range(100)))
"""What is traded, against USDT, where ccxt asks for it."""


def moment(time_ms: int) -> datetime:
    return datetime.fromtimestamp(time_ms / 1000, UTC)


def iso(time_ms: int) -> str:
    moment = datetime.fromtimestamp(time_ms / 1000, UTC)
    return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")


def joined(symbol: str) -> str:
    return symbol.replace("/", "")
