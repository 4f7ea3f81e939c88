"""Candles as input of detectors: one symbol and timeframe as columns, ascending."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TypeVar

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]


T = TypeVar("T")


def chosen(columns: T, rows: slice | Ints | Bools) -> T:
    """Return some rows of a dataclass whose fields are all columns."""
    names = [each.name for each in fields(columns)]  # type: ignore[arg-type]
    return type(columns)(*(getattr(columns, name)[rows] for name in names))


@dataclass(frozen=True, slots=True)
class Candles:
    """Closed candles of one symbol and timeframe; intervals without trades are absent.

    All columns have shape [n]. `start_us` is strictly ascending (microseconds since 1970), prices
    are finite and above zero, low <= open, close <= high, volumes finite and not negative. Floats,
    since patterns are approximate by nature; they never become prices again: a result names a
    candle, whose owner has the exact values.

    Raises ValueError if a column violates this.
    """

    start_us: Ints
    open: Floats
    high: Floats
    low: Floats
    close: Floats
    volume: Floats

    def __post_init__(self) -> None:
        n = len(self.start_us)
        columns = (self.open, self.high, self.low, self.close, self.volume)
        if any(column.shape != (n,) for column in columns):
            raise ValueError("the columns of candles differ in length")
        if not all(np.isfinite(column).all() for column in columns):
            raise ValueError("a price or volume is not finite")
        if (self.start_us[1:] <= self.start_us[:-1]).any():
            raise ValueError("the candles do not ascend in time")
        body_low, body_high = (each(self.open, self.close) for each in (np.minimum, np.maximum))
        if (self.low <= 0).any() or (self.low > body_low).any() or (self.high < body_high).any():
            raise ValueError("a candle's prices are not 0 < low <= open, close <= high")
        if (self.volume < 0).any():
            raise ValueError("a volume is negative")

    def __len__(self) -> int:
        return len(self.start_us)

    def __getitem__(self, rows: slice) -> Candles:
        """Return some of the rows, as views."""
        return chosen(self, rows)
