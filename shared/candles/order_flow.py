"""Order flow of trades in the total order: estimated sides, and volume by price.

All sums are exact. Array operations; one step of Python per price of a piece, none per trade.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from shared.candles.trades import Trades
from shared.market import int128
from shared.market.decimals import EXACT, from_mantissa
from shared.market.runs import run_starts
from shared.wire.ticks import VOLUME_ONLY

DAY_US: Final = 86_400_000_000
BUY, SELL = 1, 2

Sides = NDArray[np.uint8]
_ZERO: Final = Decimal(0)


class TickRule:
    """Estimates the aggressor's side of trades that arrive in pieces, in the total order.

    A trade above the last different price bought, below it sold (Lee and Ready, Inferring Trade
    Direction from Intraday Data, 1991). It restarts each UTC day, so that an estimate is a function
    of its day; before the first change of price it is unknown. Volume-only trades have no estimate
    and are not compared with.
    """

    def __init__(self) -> None:
        self._day = -1
        self._price = _ZERO
        self._side = 0

    def sides(self, trades: Trades) -> Sides:
        """Return the estimates of trades without a side: uint8, 0 without one."""
        sides = np.zeros(len(trades), dtype=np.uint8)
        rows = np.flatnonzero((trades.rows.flags & VOLUME_ONLY) == 0)
        if not len(rows):
            return sides
        price, day = trades.price[rows], trades.rows.time_us[rows] // DAY_US
        moved = np.zeros(len(rows), dtype=np.uint8)
        moved[1:][price[1:] > price[:-1]] = BUY
        moved[1:][price[1:] < price[:-1]] = SELL
        begins = np.append(day[0] != self._day, day[1:] != day[:-1])
        moved[begins] = 0
        if not begins[0]:
            first = from_mantissa(int(price[0]), trades.price_scale)
            moved[0] = BUY if first > self._price else SELL if first < self._price else self._side
        # Each trade takes the last move of its day.
        last_move = np.where((moved > 0) | begins, np.arange(len(rows)), 0)
        estimated = moved[np.maximum.accumulate(last_move)]
        self._day, self._side = int(day[-1]), int(estimated[-1])
        self._price = from_mantissa(int(price[-1]), trades.price_scale)
        sides[rows] = np.where(trades.rows.side[rows] == 0, estimated, 0)
        return sides


@dataclass(slots=True)
class Volumes:
    """Exact sums over trades. `est_buy`, `est_sell`: of unknown sides, estimated."""

    volume: Decimal = _ZERO
    buy: Decimal = _ZERO
    sell: Decimal = _ZERO
    est_buy: Decimal = _ZERO
    est_sell: Decimal = _ZERO
    notional: Decimal = _ZERO

    def add(self, other: Volumes) -> None:
        """Add the sums of other trades."""
        self.volume = EXACT.add(self.volume, other.volume)
        self.buy = EXACT.add(self.buy, other.buy)
        self.sell = EXACT.add(self.sell, other.sell)
        self.est_buy = EXACT.add(self.est_buy, other.est_buy)
        self.est_sell = EXACT.add(self.est_sell, other.est_sell)
        self.notional = EXACT.add(self.notional, other.notional)

    @property
    def delta(self) -> Decimal:
        """Bought less sold volume, estimates included."""
        bought = EXACT.add(self.buy, self.est_buy)
        return EXACT.subtract(bought, EXACT.add(self.sell, self.est_sell))

    @property
    def has_unknown(self) -> bool:
        """Whether trades have no side."""
        return EXACT.add(self.buy, self.sell) != self.volume


@dataclass(slots=True)
class Profile:
    """Volume by price. `step`: prices are rounded down to a multiple of it; None: unrounded."""

    step: Decimal | None = None
    levels: dict[Decimal, Volumes] = field(default_factory=dict)
    count: int = 0
    _notional: Decimal = _ZERO

    def take(self, trades: Trades, estimated: Sides) -> None:
        """Add trades, and the estimates of their sides."""
        if not len(trades):
            return
        price, scale = trades.price, trades.price_scale
        if self.step is not None:
            extra = max(0, -int(self.step.normalize(EXACT).as_tuple().exponent) - scale)
            scale += extra
            unit = int(self.step.scaleb(scale, EXACT))
            wide = (
                price.dtype == object
                or unit > 2**62
                or int(np.abs(price).max()) > 2**60 // 10**extra
            )
            price = (price.astype(object) if wide else price) * 10**extra // unit * unit
        order = np.argsort(price, kind="stable")
        price = price[order]
        starts = run_starts(price)
        columns = [
            [from_mantissa(total, trades.size_scale) for total in each]
            for each in volumes_by_side(trades, estimated, order, starts)
        ]
        for mantissa, *volumes in zip(price[starts].tolist(), *columns, strict=True):
            key = from_mantissa(mantissa, scale)
            self.levels.setdefault(key, Volumes()).add(Volumes(*volumes))
        self.count += len(trades)
        notional = from_mantissa(_notional(trades), trades.price_scale + trades.size_scale)
        self._notional = EXACT.add(self._notional, notional)

    @property
    def total(self) -> Volumes:
        """The sums over all prices; only these have the notional."""
        total = Volumes(notional=self._notional)
        for each in self.levels.values():
            total.add(each)
        return total


def volumes_by_side(
    trades: Trades, estimated: Sides, order: NDArray[np.intp], starts: NDArray[np.intp]
) -> list[list[int]]:
    """Return sums of size mantissas of each group of the trades in that order.

    All, bought, sold, and of unknown side those estimated as bought and sold.
    """
    size, side, estimate = trades.size[order], trades.rows.side[order], estimated[order]
    zero = size[:1] * 0
    picked = (
        size,
        *(np.where(side == each, size, zero) for each in (BUY, SELL)),
        *(np.where(estimate == each, size, zero) for each in (BUY, SELL)),
    )
    return [_sums(each, starts) for each in picked]


def _notional(trades: Trades) -> int:
    """Return the sum of price x size mantissas."""
    price, size = trades.price, trades.size
    if object not in (price.dtype, size.dtype):
        sums, overflows = int128.group_sums_of_products(price, size, np.zeros(1, dtype=np.intp))
        if not overflows[0]:
            return int(int128.to_ints(sums)[0])
    return int((price.astype(object) * size.astype(object)).sum())


def _sums(column: NDArray[Any], starts: NDArray[np.intp]) -> list[int]:
    if column.dtype == object:
        return list(np.add.reduceat(column, starts))
    sums: list[int] = int128.to_ints(int128.group_sums(column, starts))
    return sums


@dataclass(frozen=True, slots=True)
class ValueArea:
    """The price with the most volume (point of control), and the area around it."""

    poc: Decimal
    low: Decimal
    high: Decimal


def value_area(levels: Mapping[Decimal, Volumes], share: Decimal) -> ValueArea | None:
    """Return the smallest run of prices around the point of control with that share of volume.

    It grows by the neighbour with more volume, the upper one if equal. Of equal volumes the point
    of control is the one nearest to the middle of the range, then the lower. None without volume.
    """
    prices = sorted(levels)
    volumes = [levels[price].volume for price in prices]
    target = EXACT.multiply(sum_of(volumes), share)
    if not target:
        return None
    middle = EXACT.add(prices[0], prices[-1])
    poc = min(
        range(len(prices)),
        key=lambda n: (-volumes[n], abs(EXACT.subtract(prices[n] * 2, middle)), n),
    )
    low = high = poc
    covered = volumes[poc]
    last = len(prices) - 1
    while covered < target and (low or high < last):
        if not low or (high < last and volumes[high + 1] >= volumes[low - 1]):
            high += 1
            covered = EXACT.add(covered, volumes[high])
        else:
            low -= 1
            covered = EXACT.add(covered, volumes[low])
    return ValueArea(prices[poc], prices[low], prices[high])


def sum_of(values: Sequence[Decimal]) -> Decimal:
    """Return the exact sum."""
    total = _ZERO
    for each in values:
        total = EXACT.add(total, each)
    return total
