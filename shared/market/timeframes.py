"""Timeframes: their notation, length, and the starts of their intervals."""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

DEFAULT_LADDER: Final = "1m,5m,15m,1h,4h,1d"

_UNITS_US: Final = {
    "s": 1_000_000,
    "m": 60_000_000,
    "h": 3_600_000_000,
    "d": 86_400_000_000,
    "w": 7 * 86_400_000_000,
}
_MONDAY_US: Final = 4 * 86_400_000_000
"""1970 started on a Thursday: weeks count from its first Monday."""


@dataclass(frozen=True, order=True)
class Timeframe:
    """Length of a candle in event time, aligned to 1970-01-01T00:00Z; weeks to a Monday."""

    length_us: int
    name: str

    @classmethod
    def parse(cls, name: str) -> Timeframe:
        """Parse `1m`, `15m`, `4h`, `1d`, `1w`. Raises ValueError with the reason."""
        match = re.fullmatch(r"([1-9][0-9]{0,3})([smhdw])", name)
        if match is None:
            raise ValueError(
                f"timeframe {name!r} is not a number and one of s m h d w, such as 1m or 4h"
            )
        length_us = int(match[1]) * _UNITS_US[match[2]]
        weeks, rest = divmod(length_us, _UNITS_US["w"])
        if match[2] != "w" and not rest:
            raise ValueError(
                f"timeframe {name!r} would begin on Thursdays, as 1970 did: {weeks}w begins on"
                " Mondays"
            )
        return cls(length_us, name)

    def start_us(self, event_time_us: int) -> int:
        """Return the start of the interval that holds the time."""
        return event_time_us - (event_time_us - self._shift_us) % self.length_us

    def starts_us(self, event_times_us: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the start of the interval of each time."""
        return event_times_us - (event_times_us - self._shift_us) % self.length_us

    @property
    def _shift_us(self) -> int:
        return _MONDAY_US if self.name.endswith("w") else 0

    def next_us(self, start_us: int) -> int:
        """Return the start of the interval after the one that starts there."""
        return start_us + self.length_us

    def end_us(self, start_us: int) -> int:
        """Return where the interval that starts there ends, exclusive."""
        return self.next_us(start_us)

    def holds(self, time_us: int) -> bool:
        """Whether the time is in any interval: outside trading hours it is not."""
        return True

    def nests(self, part: Timeframe) -> bool:
        """Whether every interval consists of whole intervals of the part."""
        return self.length_us % part.length_us == 0

    @property
    def day(self) -> Timeframe | None:
        """The timeframe of its trading days; None if it has none."""
        return None

    def ends_us(self, starts_us: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return where the intervals that start there end, exclusive."""
        return starts_us + self.length_us

    def __str__(self) -> str:
        return self.name


def parse_ladder(names: str) -> tuple[Timeframe, ...]:
    """Parse `1m,5m,1h`: the base timeframe first, each a multiple of the previous one.

    Raises ValueError if one does not nest in the next, since longer candles are folds of shorter
    ones.
    """
    ladder = tuple(Timeframe.parse(name.strip()) for name in names.split(","))
    for shorter, longer in pairwise(ladder):
        if longer.length_us <= shorter.length_us or longer.length_us % shorter.length_us:
            raise ValueError(
                f"timeframe {longer} is not a multiple of {shorter}, so it cannot merge it"
            )
    return ladder
