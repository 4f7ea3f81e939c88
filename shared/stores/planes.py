"""Columns of integers as byte planes: the form in which segments hold them in Postgres.

A plane is one byte of every value: first the highest byte of all, then the next one. There are as
many planes as the largest value needs, none for zeros alone. High planes are nearly constant, so
that TOAST compresses them, and SQL reads a value by `get_byte` (migration 0020). Signed values are
zigzag-coded: 0, -1, 1, -2, 2 ... are 0, 1, 2, 3, 4 ...
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

Column = NDArray[Any]
"""int64[n], or object[n] of Python integers where 64 bits do not hold them."""

NARROW: Final = 1 << 62
"""Differences of values below it are int64, and so is their zigzag code."""


def to_planes(values: Column) -> bytes:
    """Return the planes of values >= 0."""
    if not len(values):
        return b""
    width = (int(values.max()).bit_length() + 7) // 8
    if width > 8 or values.dtype == object:
        rows = b"".join(int(value).to_bytes(width, "big") for value in values)
        return np.frombuffer(rows, np.uint8).reshape(-1, width).T.tobytes() if width else b""
    cells = values.astype(">u8").view(np.uint8).reshape(-1, 8)
    return cells[:, 8 - width :].T.tobytes()


def from_planes(planes: bytes, count: int) -> Column:
    """Return the values >= 0, uint64[count] or object[count]."""
    width = len(planes) // count if count else 0
    cells = np.frombuffer(planes, np.uint8).reshape(width, count)
    if width > 8:
        rows = np.ascontiguousarray(cells.T).tobytes()
        wide = [int.from_bytes(rows[n : n + width], "big") for n in range(0, len(rows), width)]
        return np.array(wide, dtype=object)
    if width <= 1:
        return cells[0].astype(np.uint64) if width else np.zeros(count, dtype=np.uint64)
    padded = np.zeros((count, 8), dtype=np.uint8)
    padded[:, 8 - width :] = cells.T
    return padded.view(">u8")[:, 0].astype(np.uint64)


def sliced(
    planes: Sequence[bytes], counts: Sequence[int], firsts: Sequence[int], stops: Sequence[int]
) -> NDArray[np.uint64]:
    """Return one after the other of each column the values from its first place to its stop.

    `counts`: how many values each column has. None is wider than 8 bytes.
    """
    columns = list(zip(planes, counts, firsts, stops, strict=True))
    width = max((len(each) // n for each, n, _, _ in columns), default=0)
    cells = np.zeros((sum(stops) - sum(firsts), 8), dtype=np.uint8)
    for byte in range(1, width + 1):
        plane = b"".join(
            each[len(each) - byte * n + first : len(each) - byte * n + stop]
            if len(each) >= byte * n
            else bytes(stop - first)
            for each, n, first, stop in columns
        )
        cells[:, byte - 1] = np.frombuffer(plane, np.uint8)
    return cells.view("<u8")[:, 0].astype(np.uint64, copy=False)


def signed(coded: NDArray[np.uint64]) -> NDArray[np.int64]:
    """Return the signed values of zigzag codes."""
    return (coded >> np.uint64(1)).astype(np.int64) ^ -(coded & np.uint64(1)).astype(np.int64)


def signed_planes(values: Column) -> bytes:
    """Return the planes of signed values."""
    if values.dtype != object and _is_narrow(values):
        narrow = values.astype(np.int64)
        return to_planes((narrow << 1) ^ (narrow >> 63))
    coded = [2 * each if each >= 0 else -2 * each - 1 for each in map(int, values)]
    return to_planes(np.array(coded, dtype=object))


def from_signed_planes(planes: bytes, count: int) -> Column:
    """Return the signed values, int64[count] or object[count]."""
    coded = from_planes(planes, count)
    if coded.dtype == object or (len(planes) == 8 * count and count):
        wide = [each >> 1 if each % 2 == 0 else -(each + 1) // 2 for each in map(int, coded)]
        return as_narrow(np.array(wide, dtype=object))
    return signed(coded)


def to_deltas(values: Column) -> tuple[int, bytes]:
    """Return the first value, and the planes of each value's difference to the one before."""
    if values.dtype != object and not _is_narrow(values):
        values = values.astype(object)
    return int(values[0]), signed_planes(np.diff(values, prepend=values[:1]))


def from_deltas(first: int, planes: bytes, count: int) -> Column:
    """Return the values of `to_deltas`."""
    deltas = from_signed_planes(planes, count)
    if deltas.dtype != object and not -NARROW < first < NARROW:
        deltas = deltas.astype(object)
    return as_narrow(np.cumsum(deltas) + first)


def as_narrow(values: Column) -> Column:
    """Return int64[n] where 64 bits hold the values, else object[n]."""
    if values.dtype == np.int64 or not len(values):
        return values.astype(np.int64)
    if int(values.min()) >= -(1 << 63) and int(values.max()) < 1 << 63:
        return values.astype(np.int64)
    return values.astype(object)


def _is_narrow(values: Column) -> bool:
    return not len(values) or bool(values.min() > -NARROW and values.max() < NARROW)
