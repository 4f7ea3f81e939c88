"""The times that people give: ms since 1970, ISO 8601, or a time ago. As the history API reads."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Final

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def time_us(text: str, now: datetime) -> int:
    """Read -1h, ISO 8601 (UTC without an offset) or ms since 1970 as microseconds since 1970.

    Raises ValueError: it is none of these; the message quotes it.
    """
    try:
        if match := re.fullmatch(r"-([0-9]{1,6})([smhd])", text):
            moment = now - timedelta(**{_UNITS[match[2]]: int(match[1])})
        elif re.fullmatch(r"[0-9]{1,14}", text):
            return int(text) * 1000
        else:
            moment = datetime.fromisoformat(text)
    except (ValueError, OverflowError):
        raise ValueError(
            f"{text[:40]!r} is neither a time ago such as -1h, ISO 8601, nor ms since 1970"
        ) from None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return (moment - EPOCH) // timedelta(microseconds=1)
