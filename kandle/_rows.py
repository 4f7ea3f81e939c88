"""Rows of the history API as values: exact decimals, aware times."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any


class KandleError(Exception):
    """The API refused: `status`, and a `detail` that names the parameter and the fix."""

    def __init__(self, status: int, title: str, detail: str) -> None:
        super().__init__(f"{status} {title}: {detail}")
        self.status, self.title, self.detail = status, title, detail


@dataclass(frozen=True, slots=True)
class Candle:
    """A candle over [time, time + timeframe). Prices are None where an empty one was filled in."""

    time: datetime
    open: Decimal | None
    high: Decimal | None
    low: Decimal | None
    close: Decimal | None
    volume: Decimal
    vwap: Decimal | None
    trades: int
    buy_volume: Decimal
    sell_volume: Decimal
    closed: bool
    partial: bool
    complete: bool
    revision: int
    origin: str
    indicators: Mapping[str, float | None]

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> Candle:
        """Read a row of the API."""
        return cls(
            _time(row["t"] * 1000),
            _decimal(row["o"]),
            _decimal(row["h"]),
            _decimal(row["l"]),
            _decimal(row["c"]),
            Decimal(row["v"]),
            _decimal(row["vw"]),
            row["n"],
            Decimal(row["bv"]),
            Decimal(row["sv"]),
            row["closed"],
            row["partial"],
            row["complete"],
            row["revision"],
            row["origin"],
            row.get("indicators", {}),
        )


@dataclass(frozen=True, slots=True)
class Tick:
    """A trade, to the microsecond."""

    time: datetime
    price: Decimal
    size: Decimal
    side: str | None
    id: str | None

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> Tick:
        """Read a row of the API."""
        price, size = Decimal(row["p"]), Decimal(row["s"])
        return cls(_time(row["us"]), price, size, row["side"], row["id"])


@dataclass(frozen=True, slots=True)
class Trade:
    """The latest trade of an instrument."""

    symbol: str
    time: datetime
    price: Decimal
    size: Decimal

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> Trade:
        """Read a row of the API."""
        return cls(
            row["symbol"], _time(row["t"] * 1000), Decimal(row["price"]), Decimal(row["size"])
        )


def _time(us: int) -> datetime:
    return datetime.fromtimestamp(us // 1_000_000, UTC).replace(microsecond=us % 1_000_000)


def _decimal(text: str | None) -> Decimal | None:
    return None if text is None else Decimal(text)
