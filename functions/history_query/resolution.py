"""What a timeframe is made of: kept candles, shorter kept candles, or ticks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from functions.history_query.months import MONTH
from functions.history_query.sessions import DAY_US, Session, SessionTimeframe
from shared.timeframes import Timeframe

LONGEST: Final = Timeframe.parse("1w")
LONGEST_FROM_TICKS: Final = Timeframe.parse("1h")


@dataclass(frozen=True, slots=True)
class Resolution:
    """A timeframe, and the kept timeframe whose candles make its own; None: ticks make them."""

    timeframe: Timeframe
    part: Timeframe | None

    @property
    def is_kept(self) -> bool:
        """Whether each candle is one that is kept, be it under another name (60m is 1h)."""
        return self.part is not None and self.part.length_us == self.timeframe.length_us


def resolve(name: str, ladder: tuple[Timeframe, ...], session: Session | None = None) -> Resolution:
    """Return how to make a timeframe of the fewest parts. Raises ValueError that says what works.

    `ladder`: the kept timeframes, the base first. Multiples of the base come from the longest kept
    timeframe that divides them; what the base does not divide comes from ticks.
    """
    if name == MONTH.name and session is None:
        of_days = [kept for kept in ladder if DAY_US % kept.length_us == 0]
        return Resolution(MONTH, of_days[-1])
    timeframe = Timeframe.parse(name)
    if timeframe.length_us == LONGEST.length_us and timeframe.name != LONGEST.name:
        raise ValueError(
            f"timeframe {name!r} would begin on Thursdays, as 1970 did: {LONGEST} begins on Mondays"
        )
    divisors = [kept for kept in ladder if timeframe.length_us % kept.length_us == 0]
    if session is not None:
        divisors = [kept for kept in divisors if session.divides(kept)]
        if not divisors or timeframe.length_us > DAY_US:
            raise ValueError(f"timeframe {name!r} does not go with the session; up to 1d do")
        timeframe = SessionTimeframe(timeframe.length_us, timeframe.name, session)
    longest = max(LONGEST, ladder[-1]) if divisors else LONGEST_FROM_TICKS
    if timeframe.length_us > longest.length_us:
        raise ValueError(
            f"timeframe {name!r} is too long; there are {', '.join(map(str, ladder))}, multiples of"
            f" {ladder[0]} up to {max(LONGEST, ladder[-1])}, and others up to {LONGEST_FROM_TICKS}"
        )
    return Resolution(timeframe, divisors[-1] if divisors else None)


def next_start_us(timeframe: Timeframe, time_us: int) -> int:
    """Return the first interval start at or after the time."""
    start_us = timeframe.start_us(time_us)
    return start_us if start_us == time_us else timeframe.next_us(start_us)
