"""UTC days: the day of a time, and its start."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Final

DAY_US: Final = 86_400_000_000


def day_of(time_us: int) -> date:
    """Return the UTC day of a time."""
    return date(1970, 1, 1) + timedelta(days=time_us // DAY_US)


def begin_us(day: date) -> int:
    """Return the start of a UTC day."""
    return (day - date(1970, 1, 1)).days * DAY_US
