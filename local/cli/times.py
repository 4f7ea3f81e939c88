"""Parsing of times: since 1970 in any unit, ISO 8601, or relative, as in the API."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import Final

from shared.market.timestamps import EPOCH, parse_relative_us, us_of

__all__ = ["EPOCH", "span_us", "time_us"]

_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def time_us(text: str, now: datetime) -> int:
    """Parse -1h, ISO 8601 (UTC by default) or s, ms, us, ns since 1970 as microseconds.

    Raises ValueError that quotes the text.
    """
    return parse_relative_us(text, us_of(now))


def span_us(text: str) -> int:
    """Parse 2d, 12h, 30m or 90s, or 0, as microseconds. Raises ValueError."""
    if text == "0":
        return 0
    match = re.fullmatch(r"([0-9]{1,6})([smhd])", text)
    if match is None:
        raise ValueError(f"{text[:40]!r} is no length of time such as 2d, 12h or 0")
    return timedelta(**{_UNITS[match[2]]: int(match[1])}) // timedelta(microseconds=1)
