"""The times that people give: since 1970 in any unit, ISO 8601, or a time ago, as the API reads."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import Final

from shared.market.timestamps import EPOCH, parse_moment_us, us_of

__all__ = ["EPOCH", "span_us", "time_us"]

_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def time_us(text: str, now: datetime) -> int:
    """Read -1h, ISO 8601 (UTC without an offset) or s, ms, us, ns since 1970 as microseconds.

    Raises ValueError: it is none of these; the message quotes it.
    """
    return parse_moment_us(text, us_of(now))


def span_us(text: str) -> int:
    """Read 2d, 12h, 30m or 90s, or 0, as microseconds. Raises ValueError: it is none of these."""
    if text == "0":
        return 0
    match = re.fullmatch(r"([0-9]{1,6})([smhd])", text)
    if match is None:
        raise ValueError(f"{text[:40]!r} is no length of time such as 2d, 12h or 0")
    return timedelta(**{_UNITS[match[2]]: int(match[1])}) // timedelta(microseconds=1)
