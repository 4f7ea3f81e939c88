"""Columns of messages: differences that pack small, and the check that all have the same rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from shared.bounds import EARLIEST_US, LATEST_US, check_instrument
from shared.decimals import MAX_SCALE
from shared.errors import PermanentError

T = TypeVar("T", bound=np.generic)


class Run(Protocol):
    """A run of `count` rows of one instrument at one pair of scales."""

    @property
    def name(self) -> str:
        """The instrument."""

    @property
    def price_scale(self) -> int:
        """Price = mantissa x 10^-price_scale."""

    @property
    def size_scale(self) -> int:
        """Size = mantissa x 10^-size_scale."""

    @property
    def count(self) -> int:
        """Rows."""


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
    found = summed(column(code, name, field, n, np.int64))
    if n and not EARLIEST_US <= int(found.min()) <= int(found.max()) < LATEST_US:
        raise PermanentError(code, f"column {name} has times that are none")
    return found


def checked_rows(code: str, runs: Sequence[Run], rows: int) -> int:
    """Return the number of rows once the instrument table agrees with it, and is sound itself.

    To be asked before anything is allocated: the table may claim any number. Raises PermanentError
    `code`.
    """
    said = sum(run.count for run in runs)
    if said != rows:
        raise PermanentError(
            code, f"column event_time_us has {rows} rows, the instrument table says {said}"
        )
    for run in runs:
        check_instrument(code, run.name)
        if max(run.price_scale, run.size_scale) > MAX_SCALE or not run.count:
            raise PermanentError(
                code, f"{run.name} needs scales up to {MAX_SCALE}, and a row at least"
            )
    return rows
