"""Candles as fixed-width records, with an array algebra independent of how ticks are split.

`merge` is commutative and associative except for revision and flags, which are the left one's. A
number that does not fit its column makes the row wide: its eight numbers are then Python integers
beside the array, and every operation is equally exact, only slower.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from shared.market import int128
from shared.market.decimals import INT64_MAX
from shared.market.int128 import Int128

RECORD: Final = np.dtype(
    [
        ("prices", "<i8", (4,)),  # open, high, low, close: x 10^-price_scale
        ("low", "<u8", (4,)),  # volume, notional, buy and sell volume: low halves,
        ("high", "<i8", (4,)),  # high halves; scales: size, price + size, size, size
        ("first", "<i8", (5,)),  # order keys of the first and the last price-making tick
        ("last", "<i8", (5,)),
        ("count", "<i8"),
        ("revision", "<i8"),  # max(revision before + 1, wall clock in microseconds)
        ("price_scale", "u1"),
        ("size_scale", "u1"),
        ("flags", "u1"),
        ("spare", "V5"),
    ]
)
"""A candle without its identity (instrument, timeframe, start): 200 bytes."""

CLOSED: Final = 1
PARTIAL: Final = 2
INCOMPLETE: Final = 4
PRICED: Final = 8
"""Has a price-making tick; without one it has only volume and is not a candle yet."""
WIDE: Final = 16
VENUE: Final = 32
"""As published by the venue, or folded from such a candle; others are built from trades."""

NEVER_FIRST: Final = 2**63 - 1
NEVER_LAST: Final = -(2**63)
"""Value of every order key column of a record that is not PRICED."""

Numbers = tuple[int, ...]
"""Open, high, low, close, volume, notional, buy and sell volume, at the row's scales."""

_POWERS: Final = np.array([10**k for k in range(19)] + [0], dtype=np.int64)
_PRICE_LIMIT: Final = np.array([INT64_MAX // 10**k for k in range(19)] + [0], dtype=np.int64)


def as_bytes(array: NDArray[Any]) -> NDArray[np.void]:
    """Return an array's rows as opaque bytes, to copy or assign: the same memory.

    NumPy copies the rows of a structured array field by field, which takes up to 30 times as long.
    """
    return array.view(np.dtype((np.void, array.itemsize)))


def decoded(blob: bytes, dtype: np.dtype[np.void]) -> NDArray[np.void]:
    """Return the rows of a structured array from their bytes, writable."""
    return np.frombuffer(bytearray(blob), dtype=dtype)


@dataclass(slots=True, eq=False)
class Records:
    """n records. `wide`: the numbers of rows flagged WIDE. Immutable by convention."""

    data: NDArray[np.void]
    wide: dict[int, Numbers] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.data)

    @classmethod
    def empty(cls, n: int) -> Records:
        """Return n empty records: not priced, without ticks."""
        data = np.zeros(n, dtype=RECORD)
        data["first"], data["last"] = NEVER_FIRST, NEVER_LAST
        return cls(data)

    @property
    def sums(self) -> Int128:
        """Volume, notional, buy and sell volume, [n, 4]."""
        return Int128(self.data["low"], self.data["high"])

    def has(self, flag: int) -> NDArray[np.bool_]:
        """Return which rows have the flag."""
        mask: NDArray[np.bool_] = (self.data["flags"] & flag) != 0
        return mask

    def at(self, rows: NDArray[np.intp] | NDArray[np.bool_]) -> Records:
        """Return the rows of an index or a mask, as a copy."""
        positions = rows.nonzero()[0] if rows.dtype == bool else rows
        wide = {}
        if self.wide:
            wide = {n: self.wide[r] for n, r in enumerate(positions.tolist()) if r in self.wide}
        return Records(self.data.take(positions), wide)

    def numbers(self, row: int) -> Numbers:
        """Return a row's numbers, exactly."""
        if row in self.wide:
            return self.wide[row]
        record = self.data[row : row + 1]
        return (
            *record["prices"][0].tolist(),
            *int128.to_ints(Int128(record["low"], record["high"]))[0],
        )

    def set_numbers(self, row: int, numbers: Numbers) -> None:
        """Write a row's numbers, wide if one does not fit."""
        record = self.data[row : row + 1]
        if all(abs(each) <= INT64_MAX for each in numbers[:4]) and all(
            map(int128.fits, numbers[4:])
        ):
            sums = int128.of_ints(numbers[4:])
            record["prices"], record["low"], record["high"] = numbers[:4], *sums
            record["flags"] &= 255 - WIDE
            self.wide.pop(row, None)
        else:
            record["prices"] = record["low"] = record["high"] = 0
            record["flags"] |= WIDE
            self.wide[row] = numbers

    def all_numbers(self) -> list[Numbers]:
        """Return the numbers of every row."""
        prices, sums = self.data["prices"].tolist(), int128.to_ints(self.sums)
        result = [(*a, *b) for a, b in zip(prices, sums, strict=True)]
        for row, numbers in self.wide.items():
            result[row] = numbers
        return result

    def encode(self) -> list[bytes]:
        """Return a blob per record; a wide one is followed by its numbers as text."""
        size, whole = RECORD.itemsize, self.data.tobytes()
        blobs = [whole[n : n + size] for n in range(0, len(whole), size)]
        for row, numbers in self.wide.items():
            blobs[row] += " ".join(map(str, numbers)).encode()
        return blobs

    @classmethod
    def decode(cls, blobs: Sequence[bytes]) -> Records:
        """Read what `encode` returned."""
        size = RECORD.itemsize
        whole = b"".join(blobs)
        if len(whole) == size * len(blobs):
            return cls(decoded(whole, RECORD))
        data = decoded(b"".join(blob[:size] for blob in blobs), RECORD)
        wide = {
            row: tuple(map(int, blob[size:].split()))
            for row, blob in enumerate(blobs)
            if len(blob) > size
        }
        return cls(data, wide)


def concatenated(parts: Sequence[Records]) -> Records:
    """Return the records of all parts."""
    wide: dict[int, Numbers] = {}
    first = 0
    for part in parts:
        wide |= {first + row: numbers for row, numbers in part.wide.items()}
        first += len(part)
    whole = np.concatenate([as_bytes(part.data) for part in parts])
    return Records(whole.view(RECORD), wide)


def merge(a: Records, b: Records) -> Records:
    """Merge records of disjoint ticks row by row; revision and flags (but PRICED, WIDE) are a's."""
    left, right, slow = a.data, b.data, a.has(WIDE) | b.has(WIDE)
    data = as_bytes(left).copy().view(RECORD)
    for name in ("price_scale", "size_scale"):
        data[name] = np.maximum(left[name], right[name])
    (prices_a, sums_a, unfit_a), (prices_b, sums_b, unfit_b) = (_at(each, data) for each in (a, b))
    (low, high), over = int128.added(sums_a, sums_b)
    slow |= unfit_a | unfit_b | over.any(axis=1)
    data["low"], data["high"] = low, high
    data["count"] += right["count"]
    data["flags"] |= right["flags"] & PRICED
    from_b_first = before(right["first"], left["first"])
    from_b_last = before(left["last"], right["last"])
    data["first"][from_b_first] = right["first"][from_b_first]
    data["last"][from_b_last] = right["last"][from_b_last]
    data["prices"] = _prices(
        prices_a, prices_b, from_b_first, from_b_last, a.has(PRICED), b.has(PRICED)
    )
    merged = Records(data)
    for row in np.flatnonzero(slow).tolist():
        early, late = bool(from_b_first[row]), bool(from_b_last[row])
        merged.set_numbers(row, _slowly(a, b, row, merged, early=early, late=late))
    return merged


def fold(records: Records, starts: NDArray[np.intp]) -> Records:
    """Merge each group of rows into one record. `starts`: where groups begin, the first at 0."""
    lengths = np.diff(starts, append=len(records))
    while len(records) > len(starts):
        position = np.arange(len(records)) - np.repeat(starts, lengths)
        left = position % 2 == 0
        rows = np.flatnonzero(left)
        paired = position[rows] + 1 < np.repeat(lengths, (lengths + 1) // 2)
        joined = merge(records.at(rows[paired]), records.at(rows[paired] + 1))
        single = records.at(rows[~paired])
        order = np.empty(len(rows), dtype=np.intp)
        order[np.append(np.flatnonzero(paired), np.flatnonzero(~paired))] = np.arange(len(rows))
        records = concatenated([joined, single]).at(order)
        lengths = (lengths + 1) // 2
        starts = np.cumsum(lengths) - lengths
    return records


def _at(
    records: Records, scales: NDArray[np.void]
) -> tuple[NDArray[np.int64], Int128, NDArray[np.bool_]]:
    """Return prices and sums at the given scales, and which rows do not fit."""
    data = records.data
    overflows = np.zeros(len(data), dtype=bool)
    prices, sums = data["prices"], records.sums
    more_price, more_size = (
        scales[name] - data[name].astype(np.int64) for name in ("price_scale", "size_scale")
    )
    if more_price.any():
        exponents = np.minimum(more_price, 19)[:, None]
        limit = _PRICE_LIMIT[exponents]
        overflows |= ((prices > limit) | (prices < -limit)).any(axis=1)
        prices = prices * _POWERS[exponents]
    if more_price.any() or more_size.any():
        extra = np.repeat(more_size[:, None], 4, axis=1)
        extra[:, 1] += more_price
        sums, over = int128.scaled(sums, extra)
        overflows |= over.any(axis=1)
    return prices, sums, overflows


def before(a: NDArray[np.int64], b: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Return for each row whether key a sorts before key b, column by column."""
    before: NDArray[np.bool_] = a[:, 0] < b[:, 0]
    tied = np.flatnonzero(a[:, 0] == b[:, 0])
    for column in range(1, a.shape[1]):
        if not len(tied):
            break
        left, right = a[tied, column], b[tied, column]
        before[tied] = left < right
        tied = tied[left == right]
    return before


def _prices(
    a: NDArray[np.int64],
    b: NDArray[np.int64],
    from_b_first: NDArray[np.bool_],
    from_b_last: NDArray[np.bool_],
    priced_a: NDArray[np.bool_],
    priced_b: NDArray[np.bool_],
) -> NDArray[np.int64]:
    prices = np.empty_like(a)
    prices[:, 0] = np.where(from_b_first, b[:, 0], a[:, 0])
    prices[:, 1] = np.maximum(a[:, 1], b[:, 1])
    prices[:, 2] = np.minimum(a[:, 2], b[:, 2])
    prices[:, 3] = np.where(from_b_last, b[:, 3], a[:, 3])
    if not (priced_a & priced_b).all():
        prices[~priced_a] = b[~priced_a]
        only_a = priced_a & ~priced_b
        prices[only_a] = a[only_a]
    return prices


def _slowly(
    a: Records, b: Records, row: int, merged: Records, *, early: bool, late: bool
) -> Numbers:
    """Merge one row as Python integers, which are unbounded."""
    scales = merged.data[row]
    price_scale, size_scale = int(scales["price_scale"]), int(scales["size_scale"])

    def at_scales(records: Records) -> Numbers:
        record = records.data[row]
        price = 10 ** (price_scale - int(record["price_scale"]))
        size = 10 ** (size_scale - int(record["size_scale"]))
        factors = (price, price, price, price, size, price * size, size, size)
        return tuple(n * f for n, f in zip(records.numbers(row), factors, strict=True))

    x, y = at_scales(a), at_scales(b)
    sums = tuple(i + j for i, j in zip(x[4:], y[4:], strict=True))
    if not int(b.data[row]["flags"]) & PRICED:
        return x[:4] + sums
    if not int(a.data[row]["flags"]) & PRICED:
        return y[:4] + sums
    return ((y if early else x)[0], max(x[1], y[1]), min(x[2], y[2]), (y if late else x)[3], *sums)
