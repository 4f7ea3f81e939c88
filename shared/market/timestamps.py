"""Timestamp parsing: numbers with the unit inferred from their magnitude, and ISO 8601."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, tzinfo
from decimal import ROUND_FLOOR, Decimal
from typing import Final

import numpy as np
from numpy.typing import NDArray

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
EARLIEST_S: Final = 315_532_800
"""1980-01-01. Seconds since 1970 have at most 11 digits until the year 5138; as no number means a
time before 1980, the ranges of seconds, ms, us and ns do not touch."""

_MICROSECOND: Final = timedelta(microseconds=1)
_NUMBER: Final = re.compile(r"\d{1,20}(\.\d{0,30})?([eE]\+?\d{1,2})?", re.ASCII)
_UNITS: Final = [(EARLIEST_S * 10**n, 10 ** (11 + n), 6 - n) for n in (0, 3, 6, 9)]
"""Minimum, bound, and power of ten to microseconds, for s, ms, us and ns since 1970."""
_PLAIN: Final = {10: 10**9, 13: 10**6, 16: 10**3, 19: 1}
"""Nanoseconds per unit, by the number of digits of times from 2001 to 2286."""
_BOUNDS: Final = np.array(
    [bound for least, end, _ in _UNITS for bound in (least, min(end, 2**63 - 1))], dtype=np.int64
)
_FACTORS: Final = np.array([0, 10**6, 0, 1_000, 0, 1, 0, 1, 0], dtype=np.int64)
_DATES_FROM, _DATES_TO = 19 * 10**12, 22 * 10**12
"""Format of 14 digits that may be YYYYMMDDHHMMSS; with milliseconds they are 17."""
_DATES: Final = {8: "%Y%m%d", 12: "%Y%m%d%H%M", 14: "%Y%m%d%H%M%S"}
_MAX_CHARACTERS: Final = 40
_LEAP_SECOND: Final = re.compile(r"(?<=\d):59:60(?=\D|$)")
"""Leap seconds: Unix time repeats the following second."""
_AGO: Final = re.compile(r"-([0-9]{1,6})([smhdw])")
_SECONDS: Final = {"s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800}
_EXAMPLE: Final = "send seconds, ms, us or ns since 1970 UTC, or ISO 8601"


def us_of(time: datetime) -> int:
    """Return microseconds since 1970 of an aware time."""
    return (time - EPOCH) // _MICROSECOND


def iso_of(time_us: int) -> str:
    """Return the time in ISO 8601, UTC, with six digits of a second."""
    time = EPOCH + timedelta(microseconds=time_us)
    return time.isoformat(timespec="microseconds").replace("+00:00", "Z")


def parse_us(text: str, zone: tzinfo = UTC) -> int:
    """Parse s, ms, us or ns since 1970, or ISO 8601, as microseconds since 1970.

    The unit of a number follows from its magnitude; digits below a microsecond are dropped. A text
    without an offset is in `zone`. Raises ValueError; the message continues after the quoted text.
    """
    if text.isascii() and text.isdigit() and len(text) in _PLAIN and text[0] != "0":
        return int(text) * _PLAIN[len(text)] // 1_000
    if _NUMBER.fullmatch(text):
        if (date := _written_date(text)) is not None:
            raise ValueError(f"is a number that reads as a date: write {date}, or {_EXAMPLE[5:]}")
        number = Decimal(text)
        for least, end, scale in _UNITS:
            if least <= number < end:
                return int(number.scaleb(scale).to_integral_value(ROUND_FLOOR))
        raise ValueError(f"is not a time since 1980 in any unit: {_EXAMPLE}")
    if text[:1].isdigit() and len(text) <= _MAX_CHARACTERS:
        try:
            whole, leap = _LEAP_SECOND.subn(":59:59", _iso(text))
            time = datetime.fromisoformat(whole)
            us = us_of(time if time.tzinfo else time.replace(tzinfo=zone))
            return us + leap * 1_000_000
        except (ValueError, OverflowError):
            pass
    if re.fullmatch(r"[0-9-]{10}T?.* \d\d:?\d\d", text, re.ASCII):
        raise ValueError("lost the + of its offset: in a URL write it as %2B, or the time with Z")
    raise ValueError(f"is not a time: {_EXAMPLE}, such as 2025-02-20T14:30:00Z")


def parse_relative_us(text: str, now_us: int, zone: tzinfo = UTC) -> int:
    """Parse like `parse_us`, or a relative time such as -24h, or 0, as microseconds since 1970.

    A relative time is limited to 1970. Raises ValueError; the message quotes the text.
    """
    if text == "0":
        return 0
    if match := _AGO.fullmatch(text):
        return max(0, now_us - int(match[1]) * _SECONDS[match[2]] * 1_000_000)
    try:
        return parse_us(text, zone)
    except ValueError as error:
        raise ValueError(f"{text[:40]!r} {error}, or a time ago such as -24h") from None


def scaled_us(numbers: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Return microseconds of integers [n], and which of them are valid times in some unit.

    Invalid are those that `parse_us` refuses, and a few that may be dates.
    """
    if not len(numbers):
        return numbers, np.zeros(0, dtype=bool)
    low, high = np.searchsorted(_BOUNDS, [numbers.min(), numbers.max()], side="right").tolist()
    if low == high in (1, 3) and numbers.max() < _DATES_FROM:  # all in seconds, or all in ms
        return numbers * _FACTORS[low], np.ones(len(numbers), dtype=bool)
    unit = np.searchsorted(_BOUNDS, numbers, side="right")
    date = (numbers >= _DATES_FROM) & (numbers < _DATES_TO)
    date |= (numbers >= _DATES_FROM * 1_000) & (numbers < _DATES_TO * 1_000)
    us = np.where(unit == 7, numbers // 1_000, numbers * _FACTORS[unit])
    return us, ((unit & 1) == 1) & ~date


def _iso(text: str) -> str:
    """Normalize a date to hyphens, also in FIX's UTCTimestamp, and UTC as in RFC 3339."""
    text = text.upper()
    if re.match(r"\d{8}-\d\d:\d\d:\d\d", text):
        text = f"{text[:4]}-{text[4:6]}-{text[6:8]}T{text[9:]}"
    if re.match(r"\d{4}[./]\d\d[./]\d\d", text):
        text = f"{text[:4]}-{text[5:7]}-{text[8:]}"
    return text.removesuffix(" UTC").removesuffix(" GMT")


def _written_date(text: str) -> str | None:
    """Return digits such as 20250220 as a written-out date; None if they are not one."""
    whole = text[:14] if len(text) == 17 else text
    if len(whole) not in _DATES or not text.isdigit() or not "1900" <= text[:4] < "2200":
        return None
    try:
        time = datetime.strptime(whole, _DATES[len(whole)])  # noqa: DTZ007 - it is written out
    except ValueError:
        return None
    return time.date().isoformat() if len(whole) == 8 else time.isoformat()
