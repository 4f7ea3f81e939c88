"""128-bit signed integers as columns of halves: value = high x 2^64 + low."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

_HALF: Final = np.uint64(32)
_MASK: Final = np.uint64(2**32 - 1)
_WORD: Final = 2.0**64
_LIMIT: Final = 1.6e38
"""Slightly below 2^127: a bound that a double can verify."""
_STEP: Final = 9
"""10^9 is the largest power of ten below 2^32."""


class Int128(NamedTuple):
    """Equally shaped halves of an array of integers."""

    low: NDArray[np.uint64]
    high: NDArray[np.int64]


def of_int64(column: NDArray[np.int64]) -> Int128:
    """Return a column of 64-bit integers at 128 bits."""
    return Int128(column.view(np.uint64), column >> 63)


def fits(value: int) -> bool:
    """Whether an integer fits 128 bits."""
    return -(2**127) <= value < 2**127


def of_ints(values: Sequence[int]) -> Int128:
    """Return integers that each fit 128 bits."""
    return Int128(
        np.array([value & (2**64 - 1) for value in values], dtype=np.uint64),
        np.array([value >> 64 for value in values], dtype=np.int64),
    )


def to_ints(value: Int128) -> list[Any]:
    """Return Python integers, nested like the array."""
    if (value.high == value.low.view(np.int64) >> 63).all():
        ints: list[Any] = value.low.view(np.int64).tolist()
    else:
        ints = ((value.high.astype(object) << 64) + value.low.astype(object)).tolist()
    return ints


def added(a: Int128, b: Int128) -> tuple[Int128, NDArray[np.bool_]]:
    """Return the sums, and where one overflows 128 bits."""
    low = a.low + b.low
    high = a.high + b.high + (low < a.low)
    return Int128(low, high), ((a.high ^ high) & (b.high ^ high)) < 0


def scaled(value: Int128, decimals: NDArray[np.int64]) -> tuple[Int128, NDArray[np.bool_]]:
    """Return value x 10^decimals, and where it may overflow 128 bits (the value is then void).

    `decimals`: not negative, of a shape that broadcasts to the value's.
    """
    decimals = np.broadcast_to(decimals, value.low.shape)
    sign = value.high >> 63  # a negative value is measured by its complement, which is one less
    estimate = (value.high ^ sign) * _WORD + (value.low ^ sign.view(np.uint64)) - sign
    overflows = estimate * 10.0 ** np.minimum(decimals, 200) >= _LIMIT
    left = np.where(overflows | (estimate == 0), 0, decimals)
    while left.any():
        step = np.minimum(left, _STEP)
        value = _multiplied(value, (10**step).astype(np.uint64))
        left = left - step
    return value, overflows


def _multiplied(value: Int128, factor: NDArray[np.uint64]) -> Int128:
    """Multiply modulo 2^128 by factors below 2^32, limb by limb; right for both signs."""
    high = value.high.view(np.uint64)
    limbs = []
    carry = np.zeros_like(value.low)
    for limb in (value.low & _MASK, value.low >> _HALF, high & _MASK, high >> _HALF):
        product = limb * factor + carry
        limbs.append(product & _MASK)
        carry = product >> _HALF
    return Int128(limbs[0] | limbs[1] << _HALF, (limbs[2] | limbs[3] << _HALF).view(np.int64))


def group_sums(column: NDArray[np.int64], starts: NDArray[np.intp]) -> Int128:
    """Sum each group of rows exactly; a group has fewer than 2^31 rows."""
    top = np.add.reduceat(column >> 32, starts)
    bottom = np.add.reduceat(column & 0xFFFF_FFFF, starts)
    return added(_shifted(top), of_int64(bottom))[0]


def group_sums_of_products(
    a: NDArray[np.int64], b: NDArray[np.int64], starts: NDArray[np.intp]
) -> tuple[Int128, NDArray[np.bool_]]:
    """Sum a x b over each group exactly; also return where a sum overflows 128 bits."""
    largest = int(np.abs(a).max(initial=0)) * int(np.abs(b).max(initial=0))
    if 0 <= largest * len(a) < 2**63:
        total = of_int64(np.add.reduceat(a * b, starts))
        return total, np.zeros(len(starts), dtype=bool)
    if 0 <= largest < 2**63:
        return group_sums(a * b, starts), np.zeros(len(starts), dtype=bool)
    # a = a1 x 2^32 + a0, b likewise; a0, b0 are not negative, a1, b1 carry the sign.
    a1, a0 = a >> 32, a & 0xFFFF_FFFF
    b1, b0 = b >> 32, b & 0xFFFF_FFFF
    lowest = a0.view(np.uint64) * b0.view(np.uint64)
    bottom = np.add.reduceat(lowest & _MASK, starts)
    total, _ = added(
        of_int64(bottom.view(np.int64)),
        _shifted(np.add.reduceat(lowest >> _HALF, starts).view(np.int64)),
    )
    overflows = np.zeros(len(starts), dtype=bool)
    for middle in (group_sums(a1 * b0, starts), group_sums(a0 * b1, starts)):
        by_2_32, lost = _shifted_128(middle, 32)
        total, over = added(total, by_2_32)
        overflows |= lost | over
    by_2_64, lost = _shifted_128(group_sums(a1 * b1, starts), 64)
    total, over = added(total, by_2_64)
    return total, overflows | lost | over


def _shifted(column: NDArray[np.int64]) -> Int128:
    """Return 64-bit integers x 2^32."""
    return Int128((column << 32).view(np.uint64), column >> 32)


def _shifted_128(value: Int128, bits: int) -> tuple[Int128, NDArray[np.bool_]]:
    """Return the value x 2^32 or 2^64, and where it overflows."""
    if bits == 64:
        top = value.low.view(np.int64)
        return Int128(np.zeros_like(value.low), top), value.high != top >> 63
    high = value.high << 32 | (value.low >> _HALF).view(np.int64)
    return Int128(value.low << _HALF, high), high >> 32 != value.high
