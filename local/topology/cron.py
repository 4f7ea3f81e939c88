"""PingSource schedules: cron expressions of five fields, or six with seconds first."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime

_NAMES = ("second", "minute", "hour", "day of month", "month", "day of week")
_LIMITS = ((0, 59), (0, 59), (0, 23), (1, 31), (1, 12), (0, 6))
_MONTH_NAMES = ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"]
_DAY_NAMES = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"]
_PART = re.compile(r"(\*|\?|\w+)(?:-(\w+))?(?:/([0-9]+))?")


@dataclass(frozen=True)
class Schedule:
    """The seconds at which a schedule fires; the sets hold what each field allows."""

    fields: tuple[frozenset[int], ...]
    days_of_month_restricted: bool
    days_of_week_restricted: bool

    def matches(self, time: datetime) -> bool:
        """Whether it fires in the second of `moment` (in the schedule's own time zone)."""
        second, minute, hour, day, month, weekday = self.fields
        if (
            time.second not in second
            or time.minute not in minute
            or time.hour not in hour
            or time.month not in month
        ):
            return False
        by_day = time.day in day
        by_weekday = time.isoweekday() % 7 in weekday
        # cron's rule: if both days are restricted, either one matches
        if self.days_of_month_restricted and self.days_of_week_restricted:
            return by_day or by_weekday
        return by_day and by_weekday


def parse_schedule(text: str) -> Schedule:
    """Read `text`: `*`, `?`, lists, ranges, steps (`*/2`, `1-30/5`) and names (`MON`, `JAN`).

    Raises ValueError: it is no schedule that a PingSource takes (`@every` is refused there too).
    """
    if text.lstrip().startswith("@"):
        raise ValueError(f"{text!r}: PingSource takes no descriptors; write the fields out")
    words = text.split()
    if len(words) not in (5, 6):
        raise ValueError(
            f"{text!r} has {len(words)} fields; 5 (minutes first) or 6 (seconds first)"
        )
    if len(words) == 5:
        words.insert(0, "0")
    fields = tuple(_field(index, word) for index, word in enumerate(words))
    return Schedule(fields, words[3][0] not in "*?", words[5][0] not in "*?")


def _field(index: int, word: str) -> frozenset[int]:
    low, high = _LIMITS[index]
    values: set[int] = set()
    for part in word.split(","):
        match = _PART.fullmatch(part)
        if not match:
            raise ValueError(f"{part!r} is not a value of field {_NAMES[index]}")
        first, last, step = match.groups()
        if first in ("*", "?"):
            start, end = low, high
        else:
            start = _value(index, first)
            # `5/10` means from 5 to the end in steps of 10
            end = _value(index, last) if last else (high if step else start)
        if not low <= start <= end <= high or step == "0":
            raise ValueError(f"{part!r} is outside {low}-{high} of field {_NAMES[index]}")
        values.update(range(start, end + 1, int(step or 1)))
    return frozenset(values)


def _value(index: int, word: str) -> int:
    names = {4: _MONTH_NAMES, 5: _DAY_NAMES}.get(index, [])
    if word.upper() in names:
        return names.index(word.upper()) + _LIMITS[index][0]
    if not (word.isascii() and word.isdigit()):
        raise ValueError(f"{word!r} is not a value of field {_NAMES[index]}")
    # 7 is Sunday in some crons, but not in PingSource's
    return int(word)
