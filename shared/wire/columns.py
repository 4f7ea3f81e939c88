"""Columns of messages: delta encoding, and checks of lengths and times."""

from __future__ import annotations

from typing import Any, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from shared.errors import PermanentError
from shared.market.bounds import EARLIEST_US, LATEST_US

T = TypeVar("T", bound=np.generic)


def delta(column: NDArray[np.int64]) -> list[int]:
    """First value, then differences; they wrap at 64 bits and unwrap when summed."""
    return cast(list[int], np.diff(column, prepend=np.int64(0)).tolist())


def summed(column: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the values of a column of differences."""
    return np.cumsum(column, dtype=np.int64)


def column(code: str, name: str, field: Any, n: int, dtype: type[T]) -> NDArray[T]:
    """Return a repeated field as n rows. Raises PermanentError `code` that names the column."""
    array = np.array(field, dtype=dtype)
    if array.shape != (n,):
        raise PermanentError(
            code, f"column {name} has {array.size} rows, the instrument table says {n}"
        )
    return array


def times(code: str, name: str, field: Any, n: int) -> NDArray[np.int64]:
    """Return a column of differences as times. Raises PermanentError `code`."""
    result = summed(column(code, name, field, n, np.int64))
    if n and not EARLIEST_US <= int(result.min()) <= int(result.max()) < LATEST_US:
        raise PermanentError(code, f"column {name} has times that are none")
    return result
