"""Query parameters: read, checked, and refused with the name of the parameter and the fix."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, tzinfo
from typing import Final

from starlette.datastructures import QueryParams

from functions.history_query.api.cursors import (
    CandleCursor,
    CursorError,
    MomentCursor,
    TickCursor,
    TickPlace,
)
from shared.analysis.indicators import AnyIndicator, parse_indicators
from shared.market.calendar_timeframes import of_days
from shared.market.order import OrderKey
from shared.market.resolution import Resolution, next_start_us, resolved
from shared.market.timeframes import Timeframe
from shared.market.timestamps import parse_moment_us
from shared.market.trading_days import (
    TradingDays,
    exchange_days,
    session_days,
    trading_days,
    zone_of,
)

DEFAULT_LIMIT: Final = 1_000
MAX_LIMIT: Final = 10_000
DEFAULT_PRICES: Final = 100

DAY_US: Final = 86_400_000_000
FURTHEST_US: Final = 10**17
"""Times lie in [0, FURTHEST_US): the years 1970 to 5138, so that every sum still fits 64 bits."""


class ParameterError(ValueError):
    """A parameter is bad; the message names it."""


@dataclass(frozen=True, slots=True)
class Page:
    """Page of candles: starts in [from_us, to_us), at most `limit`, the oldest or newest.

    Both bounds are starts of intervals, so no candle is cut by them. `newest` is true when the
    request has no `from`: then the page ends at `to`. `indicators`: what to compute beside them.
    `as_of_us`: only ticks received by then count, those of its millisecond too, as answers say when
    ticks were received in milliseconds.
    """

    resolution: Resolution
    from_us: int
    to_us: int
    limit: int
    newest: bool
    indicators: tuple[AnyIndicator, ...] = ()
    as_of_us: int | None = None

    @property
    def timeframe(self) -> Timeframe:
        """The timeframe of the candles."""
        return self.resolution.timeframe


@dataclass(frozen=True, slots=True)
class TickPage:
    """Page of ticks: times in [from_us, to_us), before `before` in the total order, the newest."""

    from_us: int
    to_us: int
    limit: int
    before: OrderKey | None
    after: OrderKey | None = None
    newest: bool = True


def read_page(
    query: Mapping[str, str], ladder: tuple[Timeframe, ...], now_us: int | None = None
) -> Page:
    """Read timeframe, from, to, limit, cursor, indicators and as_of. Raises ParameterError."""
    now_us = time.time_ns() // 1000 if now_us is None else now_us
    known = {"timeframe", "from", "to", "limit", "cursor", "indicators", "session", "calendar"}
    refuse_unknown(query, known | {"tz", "columns", "format", "fill", "adjusted", "as_of"})
    resolution = read_resolution(query, ladder)
    zone = read_zone(query)
    given_from, to_us = read_range(query, now_us, zone)
    newest = given_from is None
    from_us = 0 if given_from is None else given_from
    limit = read_limit(query, DEFAULT_LIMIT)
    if text := query.get("cursor"):
        try:
            cursor = CandleCursor.read(text)
        except CursorError as error:
            raise ParameterError(f"cursor: {error}") from error
        newest = cursor.direction == "before"
        if newest:
            to_us = min(to_us, cursor.start_us)
        else:
            from_us = max(from_us, cursor.start_us + 1)
    timeframe = resolution.timeframe
    as_of_us = read_time_us(query, "as_of", now_us, zone)
    return Page(
        resolution,
        next_start_us(timeframe, from_us),
        next_start_us(timeframe, to_us),
        limit,
        newest,
        read_indicators(query),
        None if as_of_us is None else as_of_us // 1000 * 1000 + 999,
    )


def read_resolution(query: Mapping[str, str], ladder: tuple[Timeframe, ...]) -> Resolution:
    """Read timeframe, and whose days: session, calendar or tz. Raises ParameterError."""
    name, _, days_name = (query.get("timeframe") or ladder[0].name).partition("@")
    try:
        days = trading_days(days_name) if days_name else None
    except ValueError as error:
        raise ParameterError(f"timeframe: {error}") from error
    if days is not None and (query.get("session") or query.get("calendar")):
        raise ParameterError(
            f"timeframe: {days_name!r} says whose days; leave out session, calendar"
        )
    days = days or read_days(query)
    try:
        return resolved(of_days(name, days), ladder)
    except ValueError as error:
        raise ParameterError(f"timeframe: {error}") from error


def read_days(query: Mapping[str, str]) -> TradingDays | None:
    """Read whose days: session, else calendar, else tz; None: those of UTC.

    Raises ParameterError.
    """
    if query.get("session") and query.get("calendar"):
        raise ParameterError("session: a calendar has sessions of its own; leave out one of both")
    for name, read in (
        ("session", session_days),
        ("calendar", exchange_days),
        ("tz", trading_days),
    ):
        if text := query.get(name):
            try:
                return read(text)
            except ValueError as error:
                raise ParameterError(f"{name}: {error}") from error
    return None


def read_indicators(query: Mapping[str, str]) -> tuple[AnyIndicator, ...]:
    """Read `indicators`. Raises ParameterError."""
    text = query.get("indicators")
    try:
        return parse_indicators(text) if text else ()
    except ValueError as error:
        raise ParameterError(f"indicators: {error}") from error


def read_ticks(
    query: Mapping[str, str], span_us: int | None, limit: int, now_us: int | None = None
) -> TickPage:
    """Read from, to, limit and cursor; without `from` the last `span_us` count, or all ticks.

    Raises ParameterError.
    """
    now_us = time.time_ns() // 1000 if now_us is None else now_us
    refuse_unknown(query, {"from", "to", "limit", "cursor"})
    from_us, to_us = read_range(query, now_us)
    if from_us is None:
        from_us = 0 if span_us is None else max(0, min(now_us, to_us) - span_us)
    try:
        before = TickCursor.read(query["cursor"]) if query.get("cursor") else None
    except CursorError as error:
        raise ParameterError(f"cursor: {error}") from error
    return TickPage(from_us, to_us, read_limit(query, limit), before)


def read_raw_ticks(query: Mapping[str, str], now_us: int | None = None) -> TickPage:
    """Read from, to, limit and cursor of raw ticks, in either direction. Raises ParameterError."""
    now_us = time.time_ns() // 1000 if now_us is None else now_us
    refuse_unknown(query, {"from", "to", "limit", "cursor", "tz", "columns", "format"})
    zone = read_zone(query)
    from_us, to_us = read_range(query, now_us, zone)
    before = after = None
    newest = from_us is None
    if text := query.get("cursor"):
        try:
            place = TickPlace.read(text)
        except CursorError as error:
            raise ParameterError(f"cursor: {error}") from error
        newest = place.direction == "before"
        before, after = (place.key, None) if newest else (None, place.key)
    return TickPage(
        0 if from_us is None else from_us,
        to_us,
        read_limit(query, DEFAULT_LIMIT),
        before,
        after,
        newest,
    )


def refuse_all(query: Mapping[str, str]) -> None:
    """Raise ParameterError when there is any parameter, where there are none."""
    refuse_unknown(query, set())


def refuse_unknown(query: Mapping[str, str], known: set[str]) -> None:
    """Raise ParameterError when a parameter is not known, or is there twice.

    `symbol` may be there as often as there are symbols.
    """
    if unknown := sorted(set(query) - known):
        there_are = f"there are {', '.join(sorted(known))}" if known else "there are none here"
        raise ParameterError(f"{unknown[0][:40]}: no such parameter; {there_are}")
    if isinstance(query, QueryParams):
        names = [name for name, _ in query.multi_items() if name != "symbol"]
        if twice := next((name for name in names if names.count(name) > 1), None):
            raise ParameterError(f"{twice}: is there {names.count(twice)} times: say it once")


def read_limit(query: Mapping[str, str], default: int) -> int:
    """Read the most to return. Raises ParameterError."""
    text = query.get("limit")
    if not text:
        return default
    if re.fullmatch(r"[0-9]{1,6}", text) is None or not 1 <= int(text) <= MAX_LIMIT:
        raise ParameterError(f"limit: {text[:40]!r} is no whole number from 1 to {MAX_LIMIT}")
    return int(text)


def read_moment(query: Mapping[str, str]) -> MomentCursor:
    """Read `cursor` of a list whose newest comes first. Raises ParameterError."""
    text = query.get("cursor")
    try:
        return MomentCursor.read(text) if text else MomentCursor(2 * FURTHEST_US, "")
    except CursorError as error:
        raise ParameterError(f"cursor: {error}") from error


def read_range(query: Mapping[str, str], now_us: int, zone: tzinfo = UTC) -> tuple[int | None, int]:
    """Read `from`, None where it is not given, and `to`, the end. Raises ParameterError."""
    from_us, to_us = (read_time_us(query, name, now_us, zone) for name in ("from", "to"))
    if from_us is not None and to_us is not None and from_us > to_us:
        raise ParameterError(f"to: {query['to'][:40]!r} is before from={query['from'][:40]!r}")
    return from_us, FURTHEST_US if to_us is None else to_us


def read_time_us(
    query: Mapping[str, str], name: str, now_us: int, zone: tzinfo = UTC
) -> int | None:
    """Read a time since 1970 in s, ms, us or ns, ISO 8601 (in `zone` without an offset), or -24h.

    The unit of a number follows from its size; 0 is 1970.
    """
    text = query.get(name)
    if not text:
        return None
    try:
        return _within(parse_moment_us(text, now_us, zone))
    except ValueError as error:
        raise ParameterError(f"{name}: {error}") from error


def read_zone(query: Mapping[str, str]) -> tzinfo:
    """Read `tz`. Raises ParameterError."""
    try:
        return zone_of(query["tz"]) if query.get("tz") else UTC
    except ValueError as error:
        raise ParameterError(f"tz: {error}") from error


def _within(time_us: int) -> int:
    return min(max(time_us, 0), FURTHEST_US)


def now_us() -> int:
    """Return the time, microseconds since 1970 UTC."""
    return time.time_ns() // 1000
