"""Query parameters: read, checked, and refused with the name of the parameter and the fix."""

from __future__ import annotations

import base64
import binascii
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from shared.timeframes import Timeframe

DEFAULT_LIMIT: Final = 1_000
MAX_LIMIT: Final = 10_000

_AGO: Final = re.compile(r"-(\d{1,6})([smhd])")
_SECONDS: Final = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
_FURTHEST_US: Final = 10**17


class ParameterError(ValueError):
    """A parameter is bad; the message names it."""


@dataclass(frozen=True, slots=True)
class Page:
    """Which candles: starts in [from_us, to_us), at most `limit`, the oldest or the newest of them.

    `newest` is true when the request has no `from`: then the page ends at `to`.
    """

    timeframe: Timeframe
    from_us: int
    to_us: int
    limit: int
    newest: bool


def read_page(
    query: Mapping[str, str], ladder: tuple[Timeframe, ...], now_us: int | None = None
) -> Page:
    """Read timeframe, from, to, limit and cursor. Raises ParameterError."""
    now_us = time.time_ns() // 1000 if now_us is None else now_us
    known = {"timeframe", "from", "to", "limit", "cursor"}
    if unknown := sorted(set(query) - known):
        raise ParameterError(
            f"{unknown[0]}: no such parameter; there are {', '.join(sorted(known))}"
        )
    timeframe = _timeframe(query.get("timeframe", ladder[0].name), ladder)
    from_us = _time_us("from", query["from"], now_us) if query.get("from") else None
    to_us = _time_us("to", query["to"], now_us) if query.get("to") else _FURTHEST_US
    limit = _limit(query.get("limit"))
    newest = from_us is None
    from_us = 0 if from_us is None else from_us
    if query.get("cursor"):
        direction, at = _cursor(query["cursor"])
        if direction == "after":
            from_us = max(from_us, at + 1)
        else:
            to_us = min(to_us, at)
        newest = direction == "before"
    return Page(timeframe, from_us, to_us, limit, newest)


def make_cursor(direction: str, start_us: int) -> str:
    """Return an opaque cursor: go on `after` or `before` the candle that starts there."""
    return base64.urlsafe_b64encode(f"{direction}:{start_us}".encode()).decode().rstrip("=")


def _cursor(text: str) -> tuple[str, int]:
    try:
        raw = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode("ascii")
        direction, start = raw.split(":")
        if direction not in ("after", "before"):
            raise ValueError
        return direction, int(start)
    except (ValueError, binascii.Error) as error:
        raise ParameterError("cursor: not one that this API gave; take it from `next`") from error


def _timeframe(name: str, ladder: tuple[Timeframe, ...]) -> Timeframe:
    for timeframe in ladder:
        if timeframe.name == name:
            return timeframe
    raise ParameterError(
        f"timeframe: {name!r} is not kept; there are {', '.join(map(str, ladder))}"
    )


def _limit(text: str | None) -> int:
    if not text:
        return DEFAULT_LIMIT
    if not text.isdigit() or not 1 <= int(text) <= MAX_LIMIT:
        raise ParameterError(f"limit: {text!r} is no whole number from 1 to {MAX_LIMIT}")
    return int(text)


def _time_us(name: str, text: str, now_us: int) -> int:
    """Read ms since 1970, ISO 8601 (UTC without an offset), or a time ago such as -24h."""
    if text.isdigit() and len(text) <= 14:
        return int(text) * 1000
    if match := _AGO.fullmatch(text):
        return now_us - int(match[1]) * _SECONDS[match[2]] * 1_000_000
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise ParameterError(
            f"{name}: {text[:40]!r} is neither ms since 1970, ISO 8601, nor a time ago like -24h"
        ) from error
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    since = moment - datetime(1970, 1, 1, tzinfo=UTC)
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds
