"""A digest of rows that does not depend on their order: what two places must agree on."""

from __future__ import annotations

import hashlib
from typing import Any, Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from shared.lake.record import joined
from shared.lake.tables.decimal_columns import decimal_halves

_NULL: Final = np.uint64(0x6B616E646C65)
_STEP: Final = np.uint64(0x9E3779B97F4A7C15)
_FIRST, _SECOND = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)


def digest(table: pa.Table) -> int:
    """Return the sum of the rows' 64-bit hashes, modulo 2^64, as a signed number.

    So the digest of two tables together is the sum of theirs: `joined`.
    """
    total = 0
    for batch in table.to_batches():
        rows = np.zeros(len(batch), dtype=np.uint64)
        for column in batch.columns:
            rows = _mixed(rows + _hashes(column) + _STEP)
        total += int(_mixed(rows).sum())
    return joined(total)


def _hashes(column: pa.Array) -> NDArray[np.uint64]:
    """Return a hash of each value, by its type."""
    kind = column.type
    if pa.types.is_decimal(kind):
        halves = decimal_halves(column.fill_null(0)).view(np.uint64)
        hashes = _mixed(halves[:, 0]) + halves[:, 1]
    elif pa.types.is_large_string(kind) or pa.types.is_string(kind):
        encoded = column.dictionary_encode()
        each = [_of_text(text) for text in encoded.dictionary.to_pylist()]
        hashes = np.array([*each, 0], dtype=np.uint64)[np.asarray(encoded.indices.fill_null(-1))]
    else:
        numbers: Any = np.asarray(column.cast(pa.int64()).fill_null(0))
        hashes = numbers.astype(np.int64).view(np.uint64)
    if column.null_count:
        hashes = np.where(np.asarray(column.is_null()), _NULL, hashes)
    return hashes


def _of_text(text: str) -> int:
    return int.from_bytes(hashlib.md5(text.encode(), usedforsecurity=False).digest()[:8], "big")


def _mixed(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Mix the bits of each value, as SplitMix64 does at its end."""
    values = (values ^ (values >> np.uint64(30))) * _FIRST
    values = (values ^ (values >> np.uint64(27))) * _SECOND
    return values ^ (values >> np.uint64(31))
