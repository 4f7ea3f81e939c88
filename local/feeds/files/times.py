"""Notations of times in recorded files: numbers, ISO 8601, and dates as spreadsheets write them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from shared.market.timestamps import parse_us, us_of

ABSENT: Final = frozenset({"", "null", "nan", "none", "na", "n/a", "#n/a", "-", "nat"})
"""Cells without a value, in lower case."""
LOOK: Final = 1_000
"""Rows inspected to detect the notation."""
_DATES: Final = (
    *("%Y-%m-%d", "%Y.%m.%d", "%Y/%m/%d", "%d.%m.%Y", "%m/%d/%Y", "%d/%m/%Y"),
    *("%m-%d-%Y", "%d-%m-%Y", "%m/%d/%y", "%d/%m/%y", "%b %d, %Y", "%d %b %Y", "%d-%b-%Y"),
    *("%Y%m%d", "%Y-%m", "%b %Y"),
)
_CLOCKS: Final = ("", " %H:%M", " %H:%M:%S", " %I:%M:%S %p", " %I:%M %p", " %I- %p")
_PATTERNS: Final = (
    *(date + clock for date in _DATES for clock in _CLOCKS),
    *("%Y%m%d %H%M", "%Y%m%d %H%M%S", "%Y%m%d%H%M%S"),
)
_PARTS: Final = re.compile(
    r"(?P<whole>.*?)(?:(?:(?<=:\d\d)[.,]|(?<=\d{8} \d{6}) )(?P<fraction>\d{1,9}))?"
    r"(?P<half> ?[AP]M)?(?P<utc> ?(?:UTC|GMT|Z))? ?"
    r"(?P<offset>(?<!\d-\d\d)(?<!-[a-z]{3})[+-]\d\d:?\d\d)?"  # no year: 03-Jan-2024
    r"(?: (?P<zone>[A-Z]+/[A-Z_/]+))?",
    re.ASCII | re.IGNORECASE,
)
"""A time: up to the whole second, digits below, half of the day, offset from UTC or time zone."""


class Times:
    """Reads the times of a column, all in one notation.

    `note` says which, if a date is ambiguous.
    """

    def __init__(
        self, texts: Sequence[str], unit_us: int | None = None, zone: tzinfo = UTC
    ) -> None:
        """`texts`: the first of the column; `unit_us`: of numbers; `zone`: of times without one."""
        self._unit_us = unit_us
        self._zone = zone
        self._pattern, self.note = None, ""
        texts = [each for each in texts if each.lower() not in ABSENT]
        if unit_us is not None or all(map(_reads, texts)):
            return
        fitting = _fitting(texts)
        if not fitting:  # the others are no times
            texts = [each for each in texts if _reads(each) or _fitting([each])]
            fitting = [] if all(map(_reads, texts)) else _fitting(texts)
        if fitting:
            self._pattern = fitting[0]
        first = {each[:2] for each in fitting}
        if {"%m", "%d"} <= first:
            self.note = "its dates are read as month/day/year"

    @property
    def is_plain(self) -> bool:
        """Whether the times are numbers or ISO 8601, as an input line may have them."""
        return self._pattern is None

    def us(self, text: str) -> int:
        """Return a time in microseconds since 1970. Raises ValueError.

        Numbers are s, ms, us or ns by their magnitude.
        """
        if self._unit_us is not None:
            return int(text) * self._unit_us
        if self._pattern is not None:
            try:
                return _by_pattern(text, self._pattern, self._zone)
            except ValueError:
                raise ValueError(f"{text!r} is not a time like those before it") from None
        try:
            return _us(text, self._zone)
        except ValueError:
            raise ValueError(f"{text!r} is not a time") from None


def _by_pattern(text: str, pattern: str, zone: tzinfo) -> int:
    parts = _PARTS.fullmatch(" ".join(text.split()))
    if parts is None:
        raise ValueError(text)
    half = (parts["half"] or "").strip()
    time = datetime.strptime(f"{parts['whole']} {half}".strip(), pattern)  # noqa: DTZ007
    if offset := parts["offset"]:
        minutes = int(offset[1:3]) * 60 + int(offset[-2:])
        time -= timedelta(minutes=-minutes if offset[0] == "-" else minutes)
    if parts["offset"] or parts["utc"]:
        zone = UTC
    elif parts["zone"]:
        zone = _named_zone(parts["zone"])
    below_us = int((parts["fraction"] or "").ljust(6, "0")[:6])
    return us_of(time.replace(tzinfo=zone)) + below_us


def _named_zone(name: str) -> tzinfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, OSError):
        raise ValueError(name) from None


def _us(text: str, zone: tzinfo) -> int:
    """Parse a number of at least 10**8 seconds (1973), or ISO 8601, also before 1980."""
    if (time := _iso(text)) is not None:
        return us_of(time if time.tzinfo else time.replace(tzinfo=zone))
    if text.isdigit() and len(text) == 9:
        return int(text) * 1_000_000
    return parse_us(text, zone)


def _iso(text: str) -> datetime | None:
    if "-" not in text[1:]:
        return None
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return None


def _reads(text: str) -> bool:
    try:
        _us(text, UTC)
    except ValueError:
        return False
    return True


def _fitting(texts: Sequence[str]) -> list[str]:
    return [each for each in _PATTERNS if all(_fits(text, each) for text in texts)]


def _fits(text: str, pattern: str) -> bool:
    try:
        _by_pattern(text, pattern, UTC)
    except ValueError:
        return False
    return True
