"""Ends of information bars: array operations over columns of trades, one Python step per bar.

Mantissas, and sums, beyond 64 bits are Python integers: equally exact, slower.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from decimal import ROUND_CEILING, Decimal
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from shared.market.bar_types import BarType, Measure
from shared.market.decimals import EXACT, from_mantissa
from shared.market.runs import lengths_of, run_starts
from shared.wire.ticks import VOLUME_ONLY, Ticks

Rows = NDArray[np.intp]

_SAFE: Final = 2.0**61
"""Sums up to here, and one number more, fit 64 bits."""
_NARROWEST, _WIDEST = 64, 65_536


def ends_of(type_: BarType) -> _Sum | _Range:
    """Return what finds the ends of the bars of one trading day, whose trades arrive in pieces.

    Its `rows` returns the rows that end a bar among the next trades, of one entry.
    """
    return _Range(type_.amount) if type_.measure is Measure.RANGE else _Sum(type_)


class _Sum:
    """Ends where a sum over the trades since the last end reaches the amount."""

    def __init__(self, type_: BarType) -> None:
        self._measure = type_.measure
        self._amount = type_.amount
        self._gathered = Decimal(0)

    def rows(self, ticks: Ticks) -> Rows:
        parts = []
        amounts, scale = _amounts(ticks, self._measure)
        ending = (ticks.flags & VOLUME_ONLY) == 0
        for part in _parts(amounts):
            sums = np.cumsum(amounts[part])
            rows = np.flatnonzero(ending[part])
            ends = self._chain(sums[rows], scale)
            last = int(sums[rows[ends[-1]]]) if len(ends) else 0
            rest = from_mantissa(int(sums[-1]) - last, scale)
            self._gathered = rest if len(ends) else EXACT.add(self._gathered, rest)
            parts.append(rows[ends] + part.start)
        return np.concatenate(parts) if parts else np.zeros(0, dtype=np.intp)

    def _chain(self, sums: NDArray[Any], scale: int) -> Rows:
        """Return the rows of ends among ascending sums."""
        empty = np.zeros(0, dtype=np.intp)
        if not len(sums):
            return empty
        total = int(sums[-1])
        first_sum = _whole(EXACT.subtract(self._amount, self._gathered), scale)
        if first_sum > total:
            return empty
        first = int(np.searchsorted(sums, first_sum))
        step = _whole(self._amount, scale)
        if step > total:
            return np.array([first], dtype=np.intp)
        following = np.searchsorted(sums, sums + step).tolist()
        ends, row = [], first
        while row < len(sums):
            ends.append(row)
            row = following[row]
        return np.array(ends, dtype=np.intp)


class _Range:
    """Ends where high minus low of the trades since the last end reaches the amount."""

    def __init__(self, amount: Decimal) -> None:
        self._amount = amount
        self._extent: tuple[Decimal, Decimal] | None = None

    def rows(self, ticks: Ticks) -> Rows:
        rows = np.flatnonzero((ticks.flags & VOLUME_ONLY) == 0)
        if not len(rows):
            return rows
        scale = int(ticks.entries.price_scale[0])
        price = ticks.price[rows]
        step = _whole(self._amount, scale)
        low = high = int(price[0])
        if self._extent is not None:
            extra = max(0, *(_decimals(each) - scale for each in self._extent))
            if extra:  # earlier trades had more decimals
                price, step, scale = (
                    price.astype(object) * 10**extra,
                    step * 10**extra,
                    scale + extra,
                )
            low, high = (int(each.scaleb(scale, EXACT)) for each in self._extent)
        price = _wide_enough(price, min(low, -step), max(high, step))
        # Runs of one price are merged: in real trades most repeat the previous price.
        change = run_starts(price)
        ends, extent = _walk(price[change], lengths_of(change, len(price)), low, high, step)
        self._extent = None
        if extent is not None:
            self._extent = (from_mantissa(extent[0], scale), from_mantissa(extent[1], scale))
        return rows[change[ends]]


def _walk(
    price: NDArray[Any], repeats: Rows, low: int, high: int, step: int
) -> tuple[Rows, tuple[int, int] | None]:
    """Return the positions that end a bar, and low and high of the open bar after them.

    `low`, `high`: of the bar that is open before the first price.
    """
    ends: list[int] = []
    start, width, n = 0, _NARROWEST, len(price)
    extent: tuple[int, int] | None = (low, high)
    while start < n:
        window = price[start : start + width]
        lows, highs = np.minimum.accumulate(window), np.maximum.accumulate(window)
        if extent is not None:
            lows, highs = np.minimum(lows, extent[0]), np.maximum(highs, extent[1])
        is_full = highs - lows >= step
        offset = int(is_full.argmax())
        if not is_full[offset]:
            extent = int(lows[-1]), int(highs[-1])
            start += len(window)
            width = min(2 * width, _WIDEST)
            continue
        end = start + offset
        ends.append(end)
        same = int(price[end])
        extent = (same, same) if repeats[end] > 1 else None
        start = end + 1
        width = max(_NARROWEST, min(2 * (offset + 1), _WIDEST))
    return np.array(ends, dtype=np.intp), extent


def _amounts(ticks: Ticks, measure: Measure) -> tuple[NDArray[Any], int]:
    """Return each trade's contribution, and its decimals."""
    (price_scale,), (size_scale,) = ticks.entries.price_scale, ticks.entries.size_scale
    if measure is Measure.TICK:
        return np.ones(len(ticks), dtype=np.int64), 0
    if measure is Measure.VOLUME:
        narrow = ticks.size.dtype != object and int(ticks.size.max()) < _SAFE
        return ticks.size if narrow else ticks.size.astype(object), int(size_scale)
    price, size = ticks.price, ticks.size
    if object not in (price.dtype, size.dtype):
        largest = max(map(abs, (int(price.min()), int(price.max())))) * int(size.max())
        if largest < _SAFE:
            return np.abs(price) * size, int(price_scale) + int(size_scale)
    return abs(price.astype(object)) * size.astype(object), int(price_scale) + int(size_scale)


def _parts(amounts: NDArray[Any]) -> Iterator[slice]:
    """Yield parts whose sums fit 64 bits; Python integers are one part."""
    if amounts.dtype == object or not len(amounts):
        yield from [slice(0, len(amounts))][: len(amounts)]
        return
    passed = np.floor(np.cumsum(amounts, dtype=np.float64) / _SAFE)
    edges = [0, *(np.flatnonzero(np.diff(passed)) + 1).tolist(), len(amounts)]
    for first, last in itertools.pairwise(edges):
        yield slice(first, last)


def _decimals(value: Decimal) -> int:
    return max(0, -int(value.as_tuple().exponent))


def _whole(amount: Decimal, scale: int) -> int:
    """Return the smallest mantissa that reaches the amount."""
    return int(amount.scaleb(scale, EXACT).to_integral_value(ROUND_CEILING))


def _wide_enough(price: NDArray[Any], low: int, high: int) -> NDArray[Any]:
    """Return the prices as Python integers if differences with these exceed 64 bits."""
    if price.dtype == object:
        return price
    largest = max(abs(low), abs(high), abs(int(price.min())), abs(int(price.max())))
    return price if largest < _SAFE else price.astype(object)
