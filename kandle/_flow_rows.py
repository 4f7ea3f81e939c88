"""Information bars, order flow and volume profiles as values: numbers and aware times."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Generic

from kandle._rows import N, Number, Row, Wire, optional, time_of


@dataclass(frozen=True, slots=True)
class Bar(Wire[N]):
    """A bar of trades from `time` to `end`, by number, volume, traded value or range."""

    symbol: str
    type: str
    time: datetime
    end: datetime
    open: N
    high: N
    low: N
    close: N
    volume: N
    notional: N
    vwap: N | None
    trades: int
    buy_volume: N
    sell_volume: N
    closed: bool
    complete: bool


@dataclass(frozen=True, slots=True)
class Volumes(Generic[N]):
    """Volume by side. `estimated_buy`, `estimated_sell`: of unknown side, by the tick rule."""

    volume: N
    buy: N
    sell: N
    estimated_buy: N
    estimated_sell: N

    @property
    def delta(self) -> N:
        """Bought minus sold volume, including estimates."""
        return self.buy + self.estimated_buy - self.sell - self.estimated_sell

    @classmethod
    def of(cls, row: Row, number: Number[N]) -> Volumes[N]:
        """Parse a row of the API."""
        return cls(*(number(row[name]) for name in ("v", "bv", "sv", "ebv", "esv")))


@dataclass(frozen=True, slots=True)
class Flow(Generic[N]):
    """Order flow of the candle at `time`. Sums since the anchor are None before it."""

    time: datetime
    volumes: Volumes[N]
    delta: N
    cumulative_delta: N | None
    anchored_vwap: N | None
    closed: bool

    @classmethod
    def of(cls, row: Row, number: Number[N]) -> Flow[N]:
        """Read a row of the API."""
        return cls(
            *(time_of(row["t"]), Volumes.of(row, number), number(row["d"])),
            *(optional(number, row["cd"]), optional(number, row["vw"]), row["closed"]),
        )


@dataclass(frozen=True, slots=True)
class Profile(Generic[N]):
    """Volume by price, ascending. `poc`: the point of control; `low` to `high`: the value area."""

    levels: Mapping[N, Volumes[N]]
    total: Volumes[N]
    trades: int
    vwap: N | None
    poc: N | None
    low: N | None
    high: N | None

    @classmethod
    def of(cls, row: Row, number: Number[N]) -> Profile[N]:
        """Parse a response of the API."""
        levels = {number(each["p"]): Volumes.of(each, number) for each in row["levels"]}
        prices = (optional(number, row[name]) for name in ("vw", "poc", "val", "vah"))
        return cls(levels, Volumes.of(row, number), row["n"], *prices)
