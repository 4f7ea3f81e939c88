"""Many series on one tape, so that each detector runs once for all: logs, windows, typical range.

All sums are of integers, so that a sum does not depend on what else is on the tape: one candle at a
time and all at once give the same bits.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np

from shared.analysis.candle_series import Bools, Candles, Floats, Ints
from shared.analysis.detectors.settings import FEWEST_CANDLES
from shared.analysis.detectors.view import View

LOG_UNIT: Final = 2.0**-40
"""Prices are logarithms in whole multiples of this: about 1e-12 of a price."""

TYPICAL_OVER: Final = 20
"""Candles before the completing one that define typical range and volume."""

TREND_OVER: Final = 10
"""Candles before a pattern that define its preceding trend."""


@dataclass(frozen=True)
class Tape:
    """Concatenated series, and the positions to evaluate.

    `at` [m]: evaluated positions, ascending; `window` [m]: the start of each one's window, before
    which nothing is used; `segment` [m]: the series of each; `offset` [s]: what to add to a
    position to get the candle's index in its series.
    """

    open: Floats
    high: Floats
    low: Floats
    close: Floats
    volume: Floats
    at: Ints
    window: Ints
    segment: Ints
    offset: Ints
    lookback: int

    @classmethod
    def of(cls, series: Sequence[tuple[Candles, int]], lookback: int) -> Tape:
        """Put each series' candles from `first` on the tape, with the windows they need."""
        first = np.array([each for _, each in series], dtype=np.int64)
        length = np.array([len(candles) for candles, _ in series], dtype=np.int64)
        skipped = np.maximum(first - lookback + 1, 0)
        begin = np.cumsum(length - skipped) - (length - skipped)
        evaluated = np.maximum(first, FEWEST_CANDLES - 1)
        count = np.maximum(length - evaluated, 0)
        segment = np.repeat(np.arange(len(series)), count)
        since = np.arange(len(segment)) - np.repeat(np.cumsum(count) - count, count)
        at = since + np.repeat(begin + evaluated - skipped, count)

        def column(name: str) -> Floats:
            parts = [getattr(candles, name) for candles, _ in series]
            return np.concatenate(
                [part[skip:] for part, skip in zip(parts, skipped.tolist(), strict=True)]
            )

        return cls(
            open=column("open"),
            high=column("high"),
            low=column("low"),
            close=column("close"),
            volume=column("volume"),
            at=at,
            window=np.maximum(at - lookback + 1, begin[segment]),
            segment=segment,
            offset=skipped - begin,
            lookback=lookback,
        )

    @cached_property
    def upright(self) -> View:
        """The log prices."""
        logs = (_log(self.open), _log(self.high), _log(self.low), _log(self.close))
        return View(logs, self.at, self.window, self.lookback)

    @cached_property
    def typical_range(self) -> Floats:
        """[m] typical range of the candles before each position, in log units, > 0.

        The mean of log(high / low) of up to 20 candles, or of the moves between their closes if
        that is larger: candles of one trade have no range. `varies` says where it is known.
        """
        return np.where(self.varies, self._typical, 1.0)

    @cached_property
    def varies(self) -> Bools:
        """[m] whether the prices before each position vary: otherwise there is no scale."""
        return self._typical > 0

    @cached_property
    def _typical(self) -> Floats:
        begin = np.maximum(self.window, self.at - TYPICAL_OVER)
        moves = np.abs(np.diff(self.upright.close, prepend=self.upright.close[:1]))
        ranges = self.upright.high - self.upright.low
        means = []
        for values, since in ((ranges, begin), (moves, begin + 1)):
            total = np.concatenate(([0], np.cumsum(values)))
            means.append((total[self.at] - total[since]) / np.maximum(self.at - since, 1))
        return np.maximum(*means)

    def all_have_ranges(self, begin: Ints, last: Ints) -> Bools:
        """Return for spans of candles [k] whether each candle has more than one price."""
        flat = np.concatenate(([0], np.cumsum(self.high == self.low)))
        drawn: Bools = flat[last + 1] == flat[begin]
        return drawn

    @cached_property
    def volume_ratio(self) -> Floats:
        """[m] volume relative to the mean of up to 20 candles before; 1 where that is 0."""
        volume = self.volume
        total = np.zeros(len(self.at))
        for back in range(1, TYPICAL_OVER + 1):  # fixed order: float sums depend on it
            position = self.at - back
            total += np.where(position >= self.window, volume[np.maximum(position, 0)], 0.0)
        mean = total / np.minimum(self.at - self.window, TYPICAL_OVER)
        positive = mean > 0
        return np.where(positive, volume[self.at] / np.where(positive, mean, 1.0), 1.0)

    def trend(self, rows: Ints, end: Ints) -> Floats:
        """Drift of the close over up to 10 candles to `end`: 1 is a typical range x sqrt(candles).

        `rows` [k] are indices into `at`, `end` [k] places on the tape; 0 where there is no room.
        """
        begin = np.maximum(self.window[rows], end - TREND_OVER)
        span = end - begin
        room = span > 0
        close = self.upright.close
        moved = np.where(room, close[np.where(room, end, 0)] - close[np.where(room, begin, 0)], 0)
        return moved / (self.typical_range[rows] * np.sqrt(np.maximum(span, 1)))


def _log(prices: Floats) -> Ints:
    return np.rint(np.log(prices) / LOG_UNIT).astype(np.int64)
