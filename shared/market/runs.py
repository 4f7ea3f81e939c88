"""Runs and groups of equal rows of columns."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.intp]

_FIRST: Final = np.zeros(1, dtype=np.intp)


def run_starts(*columns: NDArray[Any]) -> Rows:
    """Return the first row of each run of rows that are equal in every column."""
    first, *others = columns
    if len(first) < 2:
        return _FIRST[: len(first)]
    differs = first[1:] != first[:-1]
    for column in others:
        differs |= column[1:] != column[:-1]
    return np.concatenate((_FIRST, differs.nonzero()[0] + 1))


def lengths_of(starts: Rows, rows: int) -> Rows:
    """Return the length of each run, the last of which ends with the last row."""
    lengths = np.empty_like(starts)
    np.subtract(starts[1:], starts[:-1], out=lengths[:-1])
    lengths[-1:] = rows - starts[-1:]
    return lengths


def groups(*columns: NDArray[np.int64]) -> Iterator[tuple[tuple[int, ...], Rows]]:
    """Yield the values of each group of rows that are equal in every column, and its rows."""
    if len(columns[0]) < 2:
        yield from [(value, _FIRST) for value in zip(*(c.tolist() for c in columns), strict=True)]
        return
    order = np.lexsort(columns[::-1])
    ordered = [column[order] for column in columns]
    starts = run_starts(*ordered)
    values = zip(*(column[starts].tolist() for column in ordered), strict=True)
    firsts = starts.tolist()
    for value, first, last in zip(values, firsts, [*firsts[1:], len(order)], strict=True):
        yield value, order[first:last]
