"""Trading days: days of a time zone, sessions by the clock, and sessions of an exchange."""

from __future__ import annotations

import json
import logging
import re
import subprocess
import sys
import threading
from array import array
from bisect import bisect_left, bisect_right
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from functools import cached_property, lru_cache
from importlib.util import find_spec
from math import gcd
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from shared.errors import TransientError
from shared.market import exchange_sessions

log = logging.getLogger(__name__)

DAY_US: Final = 86_400_000_000
NEVER_US: Final = 10**17
"""The year 5138: the opening after the last known day."""

_MINUTE_US: Final = 60_000_000
_NOON: Final = 720
_CLOCK: Final = "([01][0-9]|2[0-3]):?([0-5][0-9])"
_FORM: Final = re.compile(rf"(?:{_CLOCK}(?:-{_CLOCK})?@)?([A-Za-z0-9_+/.-]{{1,64}})")
_FIRST_YEAR, _LAST_YEAR = 1973, 2037
_LOADING_S: Final = 60


class Day(NamedTuple):
    """A trading day with the trades in [open_us, close_us), microseconds since 1970 UTC.

    `label` is its date.
    """

    open_us: int
    close_us: int
    label: date


@dataclass(frozen=True)
class ClockDays:
    """Days that open at a fixed wall clock time, also across clock changes.

    `closes`: the minute at which they close; None: at the next opening. A day that opens in the
    afternoon has the next date as its label, as currencies do at 17:00 in New York.
    """

    zone: ZoneInfo
    opens: int = 0
    closes: int | None = None

    @property
    def name(self) -> str:
        """`Area/City`, `HHMM@Area/City` or `HHMM-HHMM@Area/City`."""
        if self.opens == 0 and self.closes is None:
            return self.zone.key
        closes = "" if self.closes is None else f"-{_clock(self.closes)}"
        return f"{_clock(self.opens)}{closes}@{self.zone.key}"

    @cached_property
    def unit_us(self) -> int:
        """The longest time of which every opening and closing is a multiple."""
        minutes = [self.opens] if self.closes is None else [self.opens, self.closes]
        return gcd(DAY_US, *(each * _MINUTE_US for each in minutes), _offsets_us(self.zone))

    def at(self, time_us: int) -> Day:
        """Return the last day that opened at or before the time."""
        local = datetime.fromtimestamp(time_us // 1_000_000, self.zone).date()
        day = self._opened(local)
        return day if day.open_us <= time_us else self._opened(local - timedelta(days=1))

    def since(self, label: date) -> Day:
        """Return the day with that label."""
        return self._opened(label - timedelta(days=self._ahead))

    def before(self, label: date) -> Day:
        """Return the day before the one with that label."""
        return self.since(label - timedelta(days=1))

    @property
    def _ahead(self) -> int:
        return int(self.opens >= _NOON)

    def _opened(self, on: date) -> Day:
        open_us = self._at(on, self.opens)
        tomorrow = on + timedelta(days=1)
        if self.closes is None:
            close_us = self._at(tomorrow, self.opens)
        else:
            close_us = self._at(on if self.closes > self.opens else tomorrow, self.closes)
        return Day(open_us, close_us, on + timedelta(days=self._ahead))

    def _at(self, on: date, minute: int) -> int:
        time = datetime(on.year, on.month, on.day, minute // 60, minute % 60, tzinfo=self.zone)
        return round(time.timestamp()) * 1_000_000


@dataclass(frozen=True)
class ExchangeDays:
    """Sessions of an exchange by `exchange-calendars`: weekends, holidays and half days.

    Known since 1990, or for twenty years, and a year ahead. A lunch break is part of its session.
    The first use loads them, by a process of half a second. Raises ValueError if the exchange is
    unknown, TransientError if that process fails.
    """

    name: str

    def __post_init__(self) -> None:
        self._schedule()

    @cached_property
    def unit_us(self) -> int:
        """The longest time of which every opening and closing is a multiple."""
        schedule = self._schedule()
        return gcd(DAY_US, *schedule.opens, *schedule.closes)

    def at(self, time_us: int) -> Day:
        """Return the last session that opened by the time; before the first, an empty one."""
        schedule = self._schedule()
        return schedule.day(bisect_right(schedule.opens, time_us) - 1)

    def since(self, label: date) -> Day:
        """Return the first session with that label, or a later one."""
        schedule = self._schedule()
        return schedule.day(bisect_left(schedule.labels, label.toordinal()))

    def before(self, label: date) -> Day:
        """Return the last session with an earlier label; before the first, an empty one."""
        schedule = self._schedule()
        return schedule.day(bisect_left(schedule.labels, label.toordinal()) - 1)

    def _schedule(self) -> _Schedule:
        return _schedule_of(self.name)


TradingDays = ClockDays | ExchangeDays
"""Trading days in order."""


def trading_days(name: str) -> TradingDays:
    """Parse the name of trading days. Raises ValueError with the reason.

    `America/New_York`: from local midnight. `17:00@America/New_York` (or `1700@...`): from that
    time. `09:30-16:00@America/New_York`: between these, spanning midnight if the second is the
    earlier one. `XNYS`: sessions of an exchange.
    """
    match = _FORM.fullmatch(name)
    if match is None:
        raise ValueError(
            f"{name[:80]!r} is not a time zone, session or calendar; such are America/New_York,"
            " 09:15@Asia/Kolkata, 09:30-16:00@America/New_York and XNYS"
        )
    *clock, zone = match.groups()
    if clock[0] is None:
        try:
            return ClockDays(zone_of(zone))
        except ValueError:
            return ExchangeDays(zone)
    opens = int(clock[0]) * 60 + int(clock[1])
    closes = None if clock[2] is None else int(clock[2]) * 60 + int(clock[3])
    if closes == opens:
        raise ValueError(f"{name[:80]!r} opens when it closes; write {clock[0]}:{clock[1]}@{zone}")
    return ClockDays(zone_of(zone), opens, closes)


def session_days(text: str) -> TradingDays:
    """Return the days of `HH:MM@Area/City` or `HH:MM-HH:MM@Area/City`. Raises ValueError."""
    if "@" not in text:
        raise ValueError(f"{text[:40]!r} is not a time and a zone, such as 09:15@Asia/Kolkata")
    return trading_days(text)


def zone_of(name: str) -> ZoneInfo:
    """Return a time zone. Raises ValueError if it is unknown."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ValueError(f"{name[:40]!r} is not a time zone, such as Asia/Kolkata") from error


def _clock(minute: int) -> str:
    return f"{minute // 60:02}{minute % 60:02}"


@lru_cache(maxsize=256)
def _offsets_us(zone: ZoneInfo) -> int:
    """Return the longest time of which every offset from UTC is a multiple, 1973 to 2037."""
    weeks = range((_LAST_YEAR - _FIRST_YEAR) * 53)
    first = datetime(_FIRST_YEAR, 1, 1, tzinfo=UTC)
    offsets = {(first + timedelta(weeks=n)).astimezone(zone).utcoffset() for n in weeks}
    return gcd(*(each // timedelta(microseconds=1) for each in offsets if each is not None))


@dataclass(frozen=True, slots=True)
class _Schedule:
    """All sessions of an exchange, in order; labels as ordinals of their dates.

    `month`: of the load; sessions are known a year ahead.
    """

    month: date
    opens: array[int]
    closes: array[int]
    labels: array[int]

    def day(self, number: int) -> Day:
        if number < 0:
            return Day(0, 0, date(1970, 1, 1))
        if number >= len(self.opens):
            return Day(NEVER_US, NEVER_US, date(5138, 11, 16))
        return Day(self.opens[number], self.closes[number], date.fromordinal(self.labels[number]))


_schedules: Final[dict[str, _Schedule | str]] = {}
"""By exchange, for good: some 100 of 0.2 MiB at most. The text: why there is none."""
_exchanges: Final[set[str]] = set()
"""The names of all exchanges, once one was looked up."""
_loading: Final = threading.Lock()
"""One process at a time: each takes 120 MiB."""


def _schedule_of(name: str) -> _Schedule:
    """Return the schedule; one of a former month is loaded again in the background."""
    month = datetime.now(UTC).date().replace(day=1)
    schedule = _schedules.get(name)
    if schedule is None:
        with _loading:
            schedule = _schedules.get(name)
            if schedule is None:
                schedule = _load(name, month)
                if name in _exchanges:
                    _schedules[name] = schedule
    if isinstance(schedule, str):
        raise ValueError(schedule)
    if schedule.month != month:
        _schedules[name] = replace(schedule, month=month)
        threading.Thread(target=_reload, args=(name, month), daemon=True).start()
    return schedule


def _reload(name: str, month: date) -> None:
    with _loading:
        try:
            schedule = _load(name, month)
        except TransientError as error:
            schedule = str(error)
        if isinstance(schedule, str):
            log.warning("the former sessions stay in use until next month: %s", schedule)
        else:
            _schedules[name] = schedule


def _load(name: str, month: date) -> _Schedule | str:
    """Return the schedule of an exchange, or why there is none. Raises TransientError."""
    if find_spec("exchange_calendars") is None:
        return f"{name[:40]!r}: exchanges need the package exchange-calendars: kandle[calendars]"
    unknown = (
        f"{name[:40]!r} is neither a time zone nor an exchange (XNYS); a time: 0915@Asia/Tokyo"
    )
    if _exchanges and name not in _exchanges:
        return unknown
    command = [sys.executable, "-P", exchange_sessions.__file__, name]
    try:
        found = json.loads(subprocess.check_output(command, timeout=_LOADING_S))
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        raise TransientError(f"the sessions of {name} cannot be loaded: {error}") from error
    _exchanges.update(found["names"])
    if name not in _exchanges:
        return unknown
    if "error" in found:
        return f"{name}: exchange-calendars cannot compute its sessions: {found['error']}"
    return _Schedule(month, *(array("q", found[each]) for each in ("open", "close", "label")))
