"""Decimals of the lake, DECIMAL(38, 18) throughout, to and from mantissas; no loop over rows.

Values that do not fit are text in a second column, and NULL in the first.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from shared.lake.tables.definitions import SCALE
from shared.market.decimals import EXACT, INT64_MAX, mantissa_text
from shared.wire.ticks import Int64s, Mantissas

DECIMAL: Final = pa.decimal128(38, SCALE)
"""20 digits before the point: a 64-bit mantissa of any scale that fits has no more."""
_DIGITS: Final = 38
_LOW: Final = 2**64 - 1


def to_decimals(mantissa: Mantissas, scale: Int64s) -> tuple[pa.Array, pa.Array]:
    """Return decimals, and as text those that do not fit, else NULL."""
    fits = np.ones(len(mantissa), dtype=bool)
    narrow: Int64s = mantissa
    if mantissa.dtype == object:
        fits = (np.abs(mantissa) <= INT64_MAX).astype(bool)
        narrow = np.where(fits, mantissa, 0).astype(np.int64)
    cells = np.zeros((len(mantissa), 2), dtype=np.int64)
    for each in np.unique(scale).tolist():
        rows = scale == each
        if each > SCALE:
            fits[rows] = False  # until each is known to: few are so fine
        else:
            whole = pa.array(narrow[rows]).cast(pa.decimal128(_DIGITS))
            cells[rows] = decimal_halves(whole.view(pa.decimal128(_DIGITS, each)).cast(DECIMAL))
    for row in np.flatnonzero(~fits).tolist():
        quotient, remainder = divmod(int(mantissa[row]) * 10**SCALE, 10 ** int(scale[row]))
        if not remainder and abs(quotient) < 10**_DIGITS:
            fits[row] = True
            cells[row] = np.array([quotient & _LOW, quotient >> 64 & _LOW], np.uint64).view(
                np.int64
            )
    mask = None if fits.all() else pa.py_buffer(np.packbits(fits, bitorder="little"))
    decimals = pa.Array.from_buffers(DECIMAL, len(mantissa), [mask, pa.py_buffer(cells)])
    texts = np.full(len(mantissa), None, dtype=object)
    texts[~fits] = [
        mantissa_text(int(value), int(digits))
        for value, digits in zip(mantissa[~fits], scale[~fits], strict=True)
    ]
    return decimals, pa.array(texts, pa.large_string())


def to_mantissas(decimals: pa.Array, scale: Int64s, texts: pa.Array) -> Mantissas:
    """Return the mantissas at the rows' scales."""
    decimals = decimals.fill_null(0) if decimals.null_count else decimals
    mantissa: Mantissas = np.zeros(len(decimals), dtype=np.int64)
    for each in np.unique(scale).tolist():
        rows = scale == each
        converted = _at_scale(decimals if rows.all() else decimals.filter(pa.array(rows)), each)
        if converted.dtype == object:
            mantissa = mantissa.astype(object)
        mantissa[rows] = converted
    if texts.null_count != len(texts):
        has_text = np.asarray(texts.is_valid())
        values = [
            int(Decimal(text).scaleb(digits, EXACT))
            for text, digits in zip(
                texts.drop_null().to_pylist(), scale[has_text].tolist(), strict=True
            )
        ]
        if max(map(abs, values)) > INT64_MAX:
            mantissa = mantissa.astype(object)
        mantissa[has_text] = values
    return mantissa


def _at_scale(decimals: pa.Array, scale: int) -> Mantissas:
    if scale < SCALE:
        quotient = _divided(decimal_halves(decimals), SCALE - scale)
        if quotient is not None:
            return quotient
    try:
        low, high = decimal_halves(decimals.cast(pa.decimal128(_DIGITS, scale))).T
        if (high == low >> 63).all():
            return np.asarray(low)
    except pa.ArrowInvalid:  # more digits than the type has at this scale
        pass
    values = [int(each.scaleb(scale, EXACT)) for each in decimals.to_pylist()]
    return np.array(values, dtype=object)


def _divided(halves: NDArray[Any], digits: int) -> Int64s | None:
    """Return 128-bit values / 10^digits, unless one is not an integer of 64 bits.

    An exact quotient by 5^digits is a product with its inverse modulo 2^64; what differs from the
    dividend by less than 2^64 then, in floats, is it.
    """
    low, high = halves.T
    shifted = (low.view(np.uint64) >> np.uint64(digits)) | (
        high.view(np.uint64) << np.uint64(64 - digits)
    )
    quotient: Int64s = (shifted * np.uint64(pow(5**digits, -1, 2**64))).view(np.int64)
    away = high * 2.0 ** (64 - digits) + (low.view(np.uint64) * 2.0**-digits)
    away -= quotient * float(5**digits)
    exact = not (np.bitwise_or.reduce(low, initial=0) & ((1 << digits) - 1))
    return quotient if exact and (np.abs(away) < 2.0**63).all() else None


def decimal_halves(decimals: pa.Array) -> NDArray[Any]:
    """Return the low and high halves of the 128 bits, int64[n, 2]."""
    halves = np.frombuffer(decimals.buffers()[1], dtype=np.int64).reshape(-1, 2)
    return halves[decimals.offset : decimals.offset + len(decimals)]
