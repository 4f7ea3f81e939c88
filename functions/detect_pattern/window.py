"""The newest closed candles of one series as columns of exact integers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any, Final, NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

from shared.analysis.candle_series import Bools, Candles, Floats, Ints
from shared.market.decimals import from_mantissa, to_mantissa
from shared.wire.candle import DECIMALS, Candle

START, OPEN, HIGH, LOW, CLOSE, VOLUME, REVISION, RECEIVED = range(8)
BOUGHT, SOLD, TRADES, NOTIONAL = range(8, 12)
"""Rows of a window's table."""
ROWS: Final = 12
_CONTENT: Final = [OPEN, HIGH, LOW, CLOSE, VOLUME, BOUGHT, SOLD, TRADES, NOTIONAL]
_SIZES: Final = [VOLUME, BOUGHT, SOLD]
_EXACT_FLOAT: Final = 2**53
_INT64: Final = 2**63


class Prices(NamedTuple):
    """Exact prices and volume of a candle."""

    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal


_WITHDRAWN: Final[dict[str, Any]] = {**dict.fromkeys(DECIMALS, Decimal(0)), "volume": Decimal(-1)}
"""Numbers of a candle whose trades were all cancelled: only its revision counts."""


@dataclass(slots=True, eq=False)
class Window:
    """Closed candles, ascending by start.

    `table`: [12, n], the rows START to NOTIONAL; int64, or Python integers (dtype object) where a
    mantissa does not fit 64 bits. Prices are mantissas at `price_scale`, volumes at `volume_scale`;
    a notional is the bits of a double.
    """

    table: NDArray[Any]
    price_scale: int = 0
    volume_scale: int = 0

    @classmethod
    def of(cls, candles: Sequence[Candle], received_ms: int = 0) -> Window:
        """Return closed candles, highest revision of each start, as a window.

        `received_ms`: wall clock of their arrival.
        """
        if not candles:
            return cls(np.empty((ROWS, 0), dtype=np.int64))
        candles = [each if each.trade_count else replace(each, **_WITHDRAWN) for each in candles]

        def columns(*names: str) -> list[list[Decimal]]:
            return [[getattr(each, name) for each in candles] for name in names]

        prices = columns("open", "high", "low", "close")
        sizes = columns("volume", "buy_volume", "sell_volume")
        price_scale = max(_scale(each) for column in prices for each in column)
        volume_scale = max(_scale(each) for column in sizes for each in column)
        volume, *flow = ([to_mantissa(each, volume_scale) for each in column] for column in sizes)
        rows = [
            [each.start_us for each in candles],
            *([to_mantissa(each, price_scale) for each in column] for column in prices),
            volume,
            [each.revision for each in candles],
            [received_ms] * len(candles),
            *flow,
            [each.trade_count for each in candles],
            np.array([each.notional for each in candles], dtype=np.float64).view(np.int64).tolist(),
        ]
        unmerged = cls(_narrowest(rows), price_scale, volume_scale)
        if len(candles) == 1:
            return unmerged
        window = cls(np.empty((ROWS, 0), dtype=np.int64), price_scale, volume_scale)
        window.merge(unmerged)
        return window

    def __len__(self) -> int:
        return int(self.table.shape[1])

    @property
    def starts(self) -> Ints:
        """Starts of the candles, microseconds since 1970 UTC."""
        return cast(Ints, self.table[START])

    def position(self, start_us: int) -> int:
        """Return the index of the first candle that starts then or later."""
        return int(np.searchsorted(self.starts, start_us))

    def prices(self, index: int) -> Prices:
        """Return prices and volume of one candle."""
        *prices, volume = self.table[OPEN : VOLUME + 1, index].tolist()
        open_, high, low, close = (from_mantissa(each, self.price_scale) for each in prices)
        return Prices(open_, high, low, close, from_mantissa(volume, self.volume_scale))

    @property
    def notional(self) -> Floats:
        """Sums of price x size, shape [n]."""
        return cast(Floats, self.table[NOTIONAL].astype(np.int64).view(np.float64))

    def standing(self) -> Window:
        """Return the candles that have trades."""
        high, low, volume = self.table[[HIGH, LOW, VOLUME]]
        gone = (volume < 0) & (high == 0) & (low == 0)
        if not gone.any():
            return self
        return Window(self.table[:, ~gone], self.price_scale, self.volume_scale)

    def drop_first(self, count: int) -> None:
        """Remove the oldest candles."""
        self.table = self.table[:, count:]

    def merge(self, other: Window) -> int | None:
        """Merge candles; the highest revision of each start wins, in any order.

        Returns the earliest start whose prices or volumes changed, or None. A candle already in the
        window keeps its receive time.
        """
        if not len(other):
            return None
        price_scale = max(self.price_scale, other.price_scale)
        volume_scale = max(self.volume_scale, other.volume_scale)
        ours, theirs = (each.at_scales(price_scale, volume_scale) for each in (self, other))
        self.price_scale, self.volume_scale = price_scale, volume_scale
        combined = np.concatenate((ours.table, theirs.table), axis=1)
        if len(theirs) == 1 and (not len(ours) or theirs.starts[0] > ours.starts[-1]):
            self.table = combined
            return int(theirs.starts[0])
        # Stable sort: of equal revisions the existing one stays.
        order = np.lexsort(
            ((-combined[REVISION]).astype(np.int64), combined[START].astype(np.int64))
        )
        ordered = combined[:, order]
        first = np.append(True, ordered[START, 1:] != ordered[START, :-1])
        merged = ordered[:, first]
        changed = np.ones(merged.shape[1], dtype=bool)
        if len(ours):
            at = np.searchsorted(merged[START], ours.starts)
            merged[RECEIVED, at] = ours.table[RECEIVED]
            changed[at] = (merged[_CONTENT][:, at] != ours.table[_CONTENT]).any(axis=0)
        self.table = merged
        return int(merged[START, int(np.argmax(changed))]) if changed.any() else None

    def at_scales(self, price_scale: int, volume_scale: int) -> Window:
        """Return the same candles at the given scales, which are at least as fine."""
        if (price_scale, volume_scale) == (self.price_scale, self.volume_scale):
            return self
        table = self.table
        for rows, power in (
            ([OPEN, HIGH, LOW, CLOSE], price_scale - self.price_scale),
            (_SIZES, volume_scale - self.volume_scale),
        ):
            if not power or not table.shape[1]:
                continue
            largest = max(-int(table[rows].min()), int(table[rows].max()))
            table = table.copy() if largest * 10**power < _INT64 else table.astype(object)
            table[rows] = table[rows] * 10**power
        return Window(table, price_scale, volume_scale)

    def usable(self, first: int, last: int) -> Bools:
        """Tell which of candles [first, last) detectors can use, shape [last - first].

        Detectors measure relative to price: 0 < low <= open, close <= high, and no volume below 0.
        """
        open_, high, low, close, volume = self.table[OPEN : VOLUME + 1, first:last]
        return cast(
            Bools,
            (low > 0)
            & (low <= np.minimum(open_, close))
            & (high >= np.maximum(open_, close))
            & (volume >= 0),
        )

    def floats(self, first: int, last: int) -> Candles:
        """Return candles [first, last) as the detectors' input columns."""
        open_, high, low, close = _floats(self.table[OPEN:VOLUME, first:last], self.price_scale)
        volume = _floats(self.table[VOLUME, first:last], self.volume_scale)
        starts = self.table[START, first:last].astype(np.int64)
        return Candles(starts, open_, high, low, close, volume)

    def encode(self) -> bytes:
        """Return the columns delta-encoded in byte planes, ready for compression; int64 only."""
        differences = np.diff(self.table, axis=1, prepend=np.int64(0))
        planes = np.ascontiguousarray(differences).view(np.uint8).reshape(-1, 8).T
        return planes.tobytes()

    @property
    def is_wide(self) -> bool:
        """Whether a mantissa does not fit 64 bits: such a window has no `encode`."""
        return self.table.dtype == object

    @classmethod
    def decode(cls, packed: bytes, price_scale: int, volume_scale: int) -> Window:
        """Decode the result of `encode`."""
        planes = np.frombuffer(packed, dtype=np.uint8).reshape(8, -1).T
        differences = np.ascontiguousarray(planes).view(np.int64).reshape(ROWS, -1)
        return cls(np.cumsum(differences, axis=1), price_scale, volume_scale)


def _scale(value: Decimal) -> int:
    """Return how many decimals a value needs."""
    exponent = cast(int, value.as_tuple().exponent)
    return max(0, -exponent)


def _narrowest(rows: Sequence[Sequence[int]]) -> NDArray[Any]:
    try:
        return np.array(rows, dtype=np.int64)
    except OverflowError:
        return np.array(rows, dtype=object)


def _floats(mantissas: NDArray[Any], scale: int) -> Floats:
    """Return the doubles nearest to mantissa x 10^-scale."""
    power = 10**scale
    largest = max(-int(mantissas.min(initial=0)), int(mantissas.max(initial=0)))
    if scale <= 22 and largest < _EXACT_FLOAT:
        # Both are exact doubles, so their quotient is the nearest one.
        return mantissas.astype(np.float64) / float(power)
    quotients = [int(each) / power for each in mantissas.ravel()]
    return np.array(quotients, dtype=np.float64).reshape(mantissas.shape)
