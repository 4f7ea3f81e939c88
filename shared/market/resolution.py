"""Resolution of a timeframe: to stored candles, shorter stored candles, or ticks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from shared.market.calendar_timeframes import timeframe_of
from shared.market.timeframes import Timeframe

LONGEST: Final = Timeframe.parse("1w")
LONGEST_FROM_TICKS: Final = Timeframe.parse("1h")


@dataclass(frozen=True, slots=True)
class Resolution:
    """A timeframe, and the stored timeframe that it is folded from; None: from ticks."""

    timeframe: Timeframe
    part: Timeframe | None

    @property
    def is_stored(self) -> bool:
        """Whether each candle is a stored one, perhaps under another name (60m is 1h)."""
        return self.part is not None and self.part.length_us == self.timeframe.length_us


def resolve(name: str, ladder: tuple[Timeframe, ...]) -> Resolution:
    """Return how to build a timeframe from the fewest parts. Raises ValueError with the options.

    `ladder`: the stored timeframes, the base first. Multiples of the base are folded from the
    longest stored timeframe that nests in them; others are built from ticks.
    """
    return resolved(timeframe_of(name), ladder)


def resolved(timeframe: Timeframe, ladder: tuple[Timeframe, ...]) -> Resolution:
    """Return how to build a timeframe; see `resolve`."""
    parts = [part for part in ladder if timeframe.nests(part)]
    if type(timeframe) is not Timeframe:
        if not parts:
            raise ValueError(
                f"timeframe {timeframe.name!r} begins between candles of {ladder[0]}, of which it"
                " would be made"
            )
        return Resolution(timeframe, parts[-1])
    longest = max(LONGEST, ladder[-1]) if parts else LONGEST_FROM_TICKS
    if timeframe.length_us > longest.length_us:
        raise ValueError(
            f"timeframe {timeframe.name!r} is too long; there are {', '.join(map(str, ladder))},"
            f" multiples of {ladder[0]} up to {max(LONGEST, ladder[-1])}, others up to"
            f" {LONGEST_FROM_TICKS}, and 1M, 3M, 1y"
        )
    return Resolution(timeframe, parts[-1] if parts else None)


def covered(
    ladder: Sequence[Timeframe], from_us: int, to_us: int
) -> Iterator[tuple[Timeframe, int, int]]:
    """Yield stored timeframes, with ranges, that cover [from_us, to_us) with few candles.

    The uncovered rest at the end is shorter than the base; `from_us` is the start of a base candle.
    """
    while from_us < to_us:
        candidates = [
            each
            for each in ladder
            if each.start_us(from_us) == from_us and each.next_us(from_us) <= to_us
        ]
        if not candidates:
            return
        part, end_us = candidates[-1], from_us
        longer = [each for each in ladder if each.length_us > part.length_us]
        while part.next_us(end_us) <= to_us:
            end_us = part.next_us(end_us)
            if any(k.start_us(end_us) == end_us and k.next_us(end_us) <= to_us for k in longer):
                break
        yield part, from_us, end_us
        from_us = end_us


def next_start_us(timeframe: Timeframe, time_us: int) -> int:
    """Return the first interval start at or after the time."""
    start_us = timeframe.start_us(time_us)
    return start_us if start_us == time_us else timeframe.next_us(start_us)
