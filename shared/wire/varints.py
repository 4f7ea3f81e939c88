"""Packed protobuf fields from columns, without a Python object per value.

protobuf's own API takes a list of Python integers, which costs three times as much. The bytes are
the same (https://protobuf.dev/programming-guides/encoding/).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

Uint64s = NDArray[np.uint64]

_GROUP_BITS: Final = np.uint64(7)
_FIRST_LONG: Final = np.uint64(1 << 7)
_LENGTH_DELIMITED: Final = 2
_FEW: Final = 32
"""Up to so many values are encoded one by one: array operations cost more than they save."""


def zigzag(column: NDArray[np.int64]) -> Uint64s:
    """Return a column as the values of a `repeated sint64`."""
    return ((column << 1) ^ (column >> 63)).view(np.uint64)


def deltas(column: NDArray[np.int64]) -> Uint64s:
    """Return the first value, then differences, which wrap at 64 bits, as such values."""
    differences = column.copy()
    differences[1:] -= column[:-1]
    return zigzag(differences)


def packed(fields: Sequence[tuple[int, Uint64s]]) -> bytes:
    """Return columns as packed fields, each with its number; nothing for an empty one.

    Many are encoded at once: the overhead of array operations counts once, not per field.
    """
    columns = [(number, column) for number, column in fields if len(column)]
    if sum(len(column) for _, column in columns) <= _FEW:
        contents = [b"".join(map(varint, column.tolist())) for _, column in columns]
        return b"".join(map(_field, [number for number, _ in columns], contents))
    content, ends = _varints(np.concatenate([column for _, column in columns]))
    lasts = np.cumsum([len(column) for _, column in columns]) - 1
    parts, start = [], 0
    for (number, _), end in zip(columns, ends[lasts].tolist(), strict=True):
        parts.append(_field(number, content[start:end]))
        start = end
    return b"".join(parts)


def fixed_field(number: int, column: NDArray[np.uint64]) -> bytes:
    """Return a column as a packed `repeated fixed64`; nothing for an empty one."""
    if not len(column):
        return b""
    return _field(number, column.astype("<u8").tobytes())


def _field(number: int, content: bytes) -> bytes:
    return varint(number << 3 | _LENGTH_DELIMITED) + varint(len(content)) + content


def varint(value: int) -> bytes:
    """Return one number, such as the length of a message."""
    out = bytearray()
    while value >= 1 << 7:
        out.append(value & 0x7F | 1 << 7)
        value >>= 7
    out.append(value)
    return bytes(out)


def _varints(values: Uint64s) -> tuple[bytes, NDArray[np.int64]]:
    """Encode each value in groups of seven bits, lowest first, with continuation bits.

    One pass per further group, over the values that have one. Returns the end of each value.
    """
    rest, rows = values, np.arange(len(values))
    size = np.ones(len(values), dtype=np.int64)
    groups = []
    while len(rows):
        is_longer = rest >= _FIRST_LONG
        groups.append((rows, rest.astype(np.uint8) & 0x7F | is_longer.view(np.uint8) << 7))
        rows, rest = rows[is_longer], rest[is_longer] >> _GROUP_BITS
        size[rows] += 1
    ends = np.cumsum(size)
    starts = ends - size
    out = np.empty(int(ends[-1]), dtype=np.uint8)
    for index, (rows, group) in enumerate(groups):
        out[starts[rows] + index] = group
    return out.tobytes(), ends
