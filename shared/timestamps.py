"""Times as feeds write them: RFC 3339 texts, and numbers whose unit is told by their size."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from decimal import ROUND_FLOOR, Decimal
from typing import Final

from shared.inputs.line import EARLIEST_MS, RejectedLineError

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_NUMBER: Final = re.compile(r"\d{1,20}(\.\d{0,30})?([eE]\+?\d{1,2})?", re.ASCII)
_EARLIEST_S: Final = EARLIEST_MS // 1000
_UNITS: Final = [(_EARLIEST_S * 10**n, 10 ** (11 + n), 6 - n) for n in (0, 3, 6, 9)]
"""Least, bound, and the power of ten to microseconds, of seconds, ms, us and ns since 1970. Seconds
have at most 11 digits until 5138; as nothing is older than 1980 the ranges do not touch."""


def us_of(moment: datetime) -> int:
    """Return microseconds since 1970 of an aware time."""
    return (moment - _EPOCH) // _MICROSECOND


def moment_us(field: str, text: str) -> int:
    """Read seconds, milliseconds, microseconds or nanoseconds since 1970, or ISO 8601.

    A number's unit is told by its size; digits below a microsecond fall away. A text without an
    offset is UTC. Raises RejectedLineError `bad_time`.
    """
    if _NUMBER.fullmatch(text):
        number = Decimal(text)
        for least, bound, scale in _UNITS:
            if least <= number < bound:
                return int(number.scaleb(scale).to_integral_value(ROUND_FLOOR))
    elif text[:1].isdigit() and len(text) <= 40:
        try:
            moment = datetime.fromisoformat(text)
            us = us_of(moment if moment.tzinfo else moment.replace(tzinfo=UTC))
        except (ValueError, OverflowError):
            us = -1
        if us >= EARLIEST_MS * 1000:
            return us
    raise RejectedLineError(
        "bad_time",
        f"{field} {text[:40]!r} must be a time since 1980: seconds, ms, us or ns since 1970 UTC,"
        " or ISO 8601",
    )
