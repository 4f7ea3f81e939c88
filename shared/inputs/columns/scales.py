"""Common scales: an instrument's mantissas in integer columns of one scale."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from shared.market.decimals import INT64_MAX, MAX_SCALE, MAX_WIDE_DIGITS
from shared.wire.ticks import Int64s, Mantissas

POWERS: Final = 10 ** np.arange(19, dtype=np.int64)
_WIDE_POWERS: Final = np.array([10**each for each in range(MAX_SCALE + 1)], dtype=object)


class Scaled(NamedTuple):
    """Mantissas at their scales. `apart` is 0 for rows at the common scale, else scale + 1."""

    mantissas: tuple[Mantissas, ...]
    scale: Int64s
    apart: Int64s


def common_scale(
    symbol: Int64s, scale: Int64s, keep: NDArray[np.bool_], *mantissas: Mantissas
) -> Scaled:
    """Bring each symbol's mantissas to one scale, the largest among its kept rows.

    The columns of mantissas share a row's scale. If one would not fit 64 bits (MAX_WIDE_DIGITS if a
    column has Python integers) at the common scale, the row keeps its own mantissas and scale, and
    a number sets it apart.
    """
    if not len(symbol):
        return Scaled(mantissas, scale, scale)
    if (scale == scale[0]).all():
        return Scaled(mantissas, scale, np.zeros_like(scale))
    largest = np.zeros(int(symbol.max()) + 1, dtype=np.int64)
    np.maximum.at(largest, symbol[keep], scale[keep])
    common = largest[symbol]
    step = np.maximum(common - scale, 0)
    wide = any(mantissa.dtype == object for mantissa in mantissas)
    powers, limit = (_WIDE_POWERS, 10**MAX_WIDE_DIGITS - 1) if wide else (POWERS, INT64_MAX)
    power = powers[np.minimum(step, len(powers) - 1)]
    fits = step < len(powers)
    for mantissa in mantissas:
        fits &= np.abs(mantissa) <= limit // power
    factor = np.where(fits, power, 1)
    return Scaled(
        tuple(mantissa * factor for mantissa in mantissas),
        np.where(fits, common, scale),
        np.where(fits, 0, scale + 1),
    )
