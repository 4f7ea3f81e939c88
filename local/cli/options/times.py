"""Parsing of times: since 1970 in any unit, ISO 8601, or relative, as in the API."""

from __future__ import annotations

import re
import time
from datetime import timedelta
from typing import Final

from local.errors import UsageError

_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def time_us(text: str, option: str) -> int:
    """Parse -1h, ISO 8601 (UTC by default) or s, ms, us, ns since 1970 as microseconds.

    Raises UsageError that names the option and quotes the text.
    """
    from shared.market.timestamps import parse_relative_us  # loads NumPy

    try:
        return parse_relative_us(text, time.time_ns() // 1000)
    except ValueError as error:
        raise UsageError(f"{option}: {error}") from None


def span_us(text: str, option: str) -> int:
    """Parse 2d, 12h, 30m or 90s, or 0, as microseconds. Raises UsageError."""
    if text == "0":
        return 0
    match = re.fullmatch(r"([0-9]{1,6})([smhd])", text)
    if match is None:
        raise UsageError(f"{option}: {text[:40]!r} is not a length of time such as 2d, 12h or 0")
    return timedelta(**{_UNITS[match[2]]: int(match[1])}) // timedelta(microseconds=1)
