"""Decimals as Parquet knows them, DECIMAL(38, 18) throughout, to and from mantissas; no loop.

One type for all files, so that readers of many need not reconcile them. A mantissa whose decimals
do not fit 18 places stands in a column beside, exactly, and the decimal is NULL.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from shared.decimals import INT64_MAX
from shared.ticks import Int64s, Mantissas

SCALE: Final = 18
DECIMAL: Final = pa.decimal128(38, SCALE)
"""20 digits before the point: a 64-bit mantissa of any scale that fits has no more."""


def to_decimals(mantissa: Mantissas, scale: NDArray[np.int16]) -> tuple[pa.Array, pa.Array]:
    """Return decimals, and the mantissas (text) of those that are no such decimal, else NULL."""
    cells = np.zeros((len(mantissa), 2), dtype=np.int64)
    given = mantissa
    fits = np.ones(len(mantissa), dtype=bool)
    if mantissa.dtype == object:
        fits = np.abs(mantissa) <= INT64_MAX
        mantissa = np.where(fits, mantissa, 0).astype(np.int64)
    for each in np.unique(scale).tolist():
        rows = scale == each
        some, down = mantissa[rows], each - SCALE
        if down > 0:
            unit = 10**down
            good = some % unit == 0 if unit < 2**63 else some == 0
            fits[rows] &= good
            some = np.where(good, some // unit, 0) if unit < 2**63 else np.zeros_like(some)
        plain = _decimal_array(some, min(each, SCALE)).cast(DECIMAL)
        cells[rows] = _cells(plain)
    mask = None if fits.all() else pa.py_buffer(np.packbits(fits, bitorder="little"))
    decimals = pa.Array.from_buffers(DECIMAL, len(mantissa), [mask, pa.py_buffer(cells)])
    exact = np.full(len(given), None, dtype=object)
    exact[~fits] = [str(each) for each in given[~fits].tolist()]
    return decimals, pa.array(exact, pa.string())


def to_mantissas(decimals: pa.Array, scale: NDArray[np.int16], exact: pa.Array) -> Mantissas:
    """Return the mantissas at the rows' scales."""
    mantissa: Mantissas = np.zeros(len(decimals), dtype=np.int64)
    for each in np.unique(scale).tolist():
        rows = scale == each
        some = decimals if rows.all() else decimals.filter(pa.array(rows))
        mantissa[rows] = _cells(some.fill_null(0).cast(pa.decimal128(38, each)))[:, 0]
    if exact.null_count != len(exact):
        given = np.asarray(exact.is_valid())
        values = [int(each) for each in exact.drop_null().to_pylist()]
        if max(map(abs, values)) > INT64_MAX:
            mantissa = mantissa.astype(object)
        mantissa[given] = values
    return mantissa


def _decimal_array(mantissa: Int64s, scale: int) -> pa.Array:
    cells = np.empty((len(mantissa), 2), dtype=np.int64)
    cells[:, 0] = mantissa
    cells[:, 1] = mantissa >> 63
    return pa.Array.from_buffers(
        pa.decimal128(38, scale), len(mantissa), [None, pa.py_buffer(cells)]
    )


def _cells(decimals: pa.Array) -> NDArray[Any]:
    """Return the low and high halves of the 128 bits, int64[n, 2]."""
    halves = np.frombuffer(decimals.buffers()[1], dtype=np.int64).reshape(-1, 2)
    return halves[decimals.offset : decimals.offset + len(decimals)]
