"""Information bars, order flow and volume profiles as values: exact decimals, aware times."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from kandle._rows import Row, decimal_of, time_of


@dataclass(frozen=True, slots=True)
class Bar:
    """A bar of trades from `time` to `end`, by number, volume, traded value or range."""

    symbol: str
    type: str
    time: datetime
    end: datetime
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal
    notional: Decimal
    vwap: Decimal | None
    trades: int
    buy_volume: Decimal
    sell_volume: Decimal
    closed: bool
    complete: bool

    @classmethod
    def of(cls, row: Row) -> Bar:
        """Read a row of the API, with `symbol` and `type` of its page."""
        return cls(
            row["symbol"],
            row["type"],
            time_of(row["t"]),
            time_of(row["end"]),
            Decimal(row["o"]),
            Decimal(row["h"]),
            Decimal(row["l"]),
            Decimal(row["c"]),
            Decimal(row["v"]),
            Decimal(row["qv"]),
            decimal_of(row["vw"]),
            row["n"],
            Decimal(row["bv"]),
            Decimal(row["sv"]),
            row["closed"],
            row["complete"],
        )


@dataclass(frozen=True, slots=True)
class Volumes:
    """Volume by side. `estimated_buy`, `estimated_sell`: of unknown side, by the tick rule."""

    volume: Decimal
    buy: Decimal
    sell: Decimal
    estimated_buy: Decimal
    estimated_sell: Decimal

    @property
    def delta(self) -> Decimal:
        """Bought less sold, estimates included."""
        return self.buy + self.estimated_buy - self.sell - self.estimated_sell

    @classmethod
    def of(cls, row: Row) -> Volumes:
        """Read them of a row of the API."""
        return cls(*(Decimal(row[name]) for name in ("v", "bv", "sv", "ebv", "esv")))


@dataclass(frozen=True, slots=True)
class Flow:
    """Order flow of the candle at `time`. Sums since the anchor are None before it."""

    time: datetime
    volumes: Volumes
    delta: Decimal
    cumulative_delta: Decimal | None
    anchored_vwap: Decimal | None
    closed: bool

    @classmethod
    def of(cls, row: Row) -> Flow:
        """Read a row of the API."""
        return cls(
            *(time_of(row["t"]), Volumes.of(row), Decimal(row["d"])),
            *(decimal_of(row["cd"]), decimal_of(row["vw"]), row["closed"]),
        )


@dataclass(frozen=True, slots=True)
class Profile:
    """Volume by price, ascending. `poc`: the point of control; `low` to `high`: the value area."""

    levels: Mapping[Decimal, Volumes]
    total: Volumes
    trades: int
    vwap: Decimal | None
    poc: Decimal | None
    low: Decimal | None
    high: Decimal | None

    @classmethod
    def of(cls, row: Row) -> Profile:
        """Read an answer of the API."""
        levels = {Decimal(each["p"]): Volumes.of(each) for each in row["levels"]}
        prices = (decimal_of(row[name]) for name in ("vw", "poc", "val", "vah"))
        return cls(levels, Volumes.of(row), row["n"], *prices)
