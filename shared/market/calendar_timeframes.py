"""Calendar timeframes: weeks, months and years, days of a zone, hours of a session.

A name has a period and, after `@`, the trading days: `1M`, `1d@America/New_York`,
`4h@1700@America/New_York`, `1h@0930-1600@America/New_York`, `1w@XNYS`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum
from functools import lru_cache
from typing import Final

from shared.market.timeframes import Timeframe
from shared.market.trading_days import DAY_US, ClockDays, Day, TradingDays, trading_days, zone_of


class Period(StrEnum):
    """Period into which trading days are grouped."""

    DAY = "1d"
    WEEK = "1w"
    MONTH = "1M"
    QUARTER = "3M"
    YEAR = "1y"


_LENGTH_US: Final = {
    Period.DAY: DAY_US,
    Period.WEEK: 7 * DAY_US,
    Period.MONTH: 31 * DAY_US,
    Period.QUARTER: 92 * DAY_US,
    Period.YEAR: 366 * DAY_US,
}
"""Maximum length of each, except for an hour of a clock change."""
_MONTHS: Final = {Period.MONTH: 1, Period.QUARTER: 3, Period.YEAR: 12}
_OF_UTC: Final = ClockDays(zone_of("UTC"))
_PLAIN: Final = (Period.DAY, Period.WEEK)
"""With UTC days these have a fixed length."""


@dataclass(frozen=True)
class SessionTimeframe(Timeframe):
    """Intervals counted from each opening; the last of a day ends at the close."""

    days: TradingDays

    def start_us(self, event_time_us: int) -> int:
        """Return the start of the interval that holds the time, or of the last one before it."""
        day = self.days.at(event_time_us)
        clamped = max(day.open_us, min(event_time_us, day.close_us - 1))
        return clamped - (clamped - day.open_us) % self.length_us

    def next_us(self, start_us: int) -> int:
        """Return the start of the interval after the one that starts there."""
        day = self.days.at(start_us)
        end_us = start_us + self.length_us
        return end_us if end_us < day.close_us else _following(self.days, day).open_us

    def end_us(self, start_us: int) -> int:
        """Return where the interval that starts there ends, exclusive."""
        return min(start_us + self.length_us, self.days.at(start_us).close_us)

    def holds(self, time_us: int) -> bool:
        """Tell whether the time is within trading hours."""
        return time_us < self.days.at(time_us).close_us

    def nests(self, part: Timeframe) -> bool:
        """Tell whether every interval is made of whole intervals of the part."""
        return self.length_us % part.length_us == 0 and self.days.unit_us % part.length_us == 0


@dataclass(frozen=True)
class PeriodTimeframe(Timeframe):
    """Intervals of whole trading days: a day, a week from Monday, a month, a quarter, a year."""

    period: Period
    days: TradingDays

    def start_us(self, event_time_us: int) -> int:
        """Return the start of the interval that holds the time, or of the last one before it."""
        day = self.days.at(event_time_us)
        if day.open_us == day.close_us:  # before the first known day
            return day.open_us
        return self.days.since(self._first(day.label)).open_us

    def next_us(self, start_us: int) -> int:
        """Return the start of the interval after the one that starts there."""
        return self.days.since(self._next(start_us)).open_us

    def end_us(self, start_us: int) -> int:
        """Return when the last day of the interval that starts there closes."""
        return self.days.before(self._next(start_us)).close_us

    def holds(self, time_us: int) -> bool:
        """Tell whether the time is within trading hours."""
        return time_us < self.days.at(time_us).close_us

    def nests(self, part: Timeframe) -> bool:
        """Tell whether every interval is made of whole intervals of the part."""
        return self.days.unit_us % part.length_us == 0

    @property
    def day(self) -> Timeframe | None:
        """The timeframe of its trading days; None if it has none."""
        return None if self.period is Period.DAY else _period(Period.DAY, self.days)

    def _next(self, start_us: int) -> date:
        first = self._first(self.days.at(start_us).label)
        if self.period in _MONTHS:
            return self._first(first + timedelta(days=31 * _MONTHS[self.period]))
        return first + timedelta(days=1 if self.period is Period.DAY else 7)

    def _first(self, label: date) -> date:
        """Return the first date of the period that holds a date."""
        if self.period is Period.DAY:
            return label
        if self.period is Period.WEEK:
            return label - timedelta(days=label.weekday())
        months = _MONTHS[self.period]
        return date(label.year, (label.month - 1) // months * months + 1, 1)


@lru_cache(maxsize=512)
def timeframe_of(name: str) -> Timeframe:
    """Parse the name of a timeframe. Raises ValueError with the reason."""
    count, _, days = name.partition("@")
    return of_days(count, trading_days(days) if days else None)


def of_days(name: str, days: TradingDays | None) -> Timeframe:
    """Return `1m`, `4h`, `1d`, `1w`, `1M`, `3M` or `1y` of those days, or of UTC.

    If its intervals equal UTC's, it is the plain timeframe. Raises ValueError.
    """
    period = Period(name) if name in set(Period) else None
    if days is None and period is not None and period not in _PLAIN:
        return _period(period, _OF_UTC)
    if period is not None and days is not None:
        return _period(period, days)
    try:
        frame = Timeframe.parse(name)
    except ValueError as error:
        raise ValueError(f"{error}; of the calendar there are 1M, 3M and 1y") from None
    if days is None:
        return frame
    if frame.length_us >= DAY_US:
        raise ValueError(
            f"timeframe {name!r} does not go with the days of {days.name}; 1d, 1w, 1M, 3M, 1y and"
            " what is shorter than a day do"
        )
    if isinstance(days, ClockDays) and days.closes is None and not days.unit_us % frame.length_us:
        return frame
    return SessionTimeframe(frame.length_us, f"{name}@{days.name}", days)


def _period(period: Period, days: TradingDays) -> Timeframe:
    is_utc = isinstance(days, ClockDays) and days.closes is None and days.unit_us == DAY_US
    if is_utc and period in _PLAIN:
        return Timeframe.parse(period)
    name = period.value if is_utc else f"{period.value}@{days.name}"
    return PeriodTimeframe(_LENGTH_US[period], name, period, days)


def _following(days: TradingDays, day: Day) -> Day:
    return days.since(day.label + timedelta(days=1))
