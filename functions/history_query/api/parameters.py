"""Query parameters: read, checked, and refused with the name of the parameter and the fix."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass
from datetime import UTC, tzinfo
from typing import Any, Final, TypeVar

from starlette.datastructures import QueryParams

from functions.history_query.api.cursors import CandleCursor, TickCursor, TickPlace
from shared.analysis.indicators import AnyIndicator, parse_indicators
from shared.market.bar_types import BarType
from shared.market.calendar_timeframes import of_days
from shared.market.order import OrderKey
from shared.market.resolution import Resolution, next_start_us, resolved
from shared.market.timeframes import Timeframe
from shared.market.timestamps import parse_relative_us
from shared.market.trading_days import (
    ExchangeDays,
    TradingDays,
    session_days,
    trading_days,
    zone_of,
)

T = TypeVar("T")

DEFAULT_LIMIT: Final = 1_000
MAX_LIMIT: Final = 10_000
DEFAULT_PRICES: Final = 100
DEFAULT_BARS: Final = "tick:1000"

FURTHEST_US: Final = 10**17
"""Times lie in [0, FURTHEST_US): the years 1970 to 5138, so that every sum still fits 64 bits."""


class ParameterError(ValueError):
    """A parameter is bad; the message names it."""


class UnknownSymbolError(Exception):
    """No tick of the instrument was ever seen; the message is its name."""


@dataclass(frozen=True, slots=True)
class Page:
    """Page of candles: starts in [from_us, to_us), at most `limit`, the oldest or newest.

    Both bounds are starts of intervals, so they cut no candle. `newest` is true when the request
    has no `from`: then the page ends at `to`. `indicators` are computed for each candle.
    `as_of_us`: only ticks received by then count, including all of its millisecond, since responses
    give receive times in milliseconds.
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

    def cursor(self, rows: Sequence[Mapping[str, Any]]) -> str:
        """Return the cursor of the page that continues these candles."""
        start_us = rows[0 if self.newest else -1]["t"] * 1000
        return CandleCursor("before" if self.newest else "after", start_us).text()


@dataclass(frozen=True, slots=True)
class TickPage:
    """Page of ticks: times in [from_us, to_us), at most `limit`, the first or the `newest`.

    `place`: only those before it in the total order if `newest`, else after it.
    """

    from_us: int
    to_us: int
    limit: int
    newest: bool = True
    place: OrderKey | None = None

    def cursor(self, edge: OrderKey | None) -> str | None:
        """Return the cursor of the page that continues at `edge`; None: there is no more."""
        if edge is None:
            return None
        return TickPlace.of("before" if self.newest else "after", edge).text()


@dataclass(frozen=True, slots=True, kw_only=True)
class BarPage(TickPage):
    """Page of information bars by the times of their first trades; `place`: where one ends.

    `frame`: trading days, each of which starts a new bar. `indicators` are computed for each bar.
    """

    type: BarType
    frame: Timeframe
    indicators: tuple[AnyIndicator, ...] = ()


def read_page(query: Mapping[str, str], ladder: tuple[Timeframe, ...]) -> Page:
    """Read timeframe, from, to, limit, cursor, indicators and as_of. Raises ParameterError."""
    resolution = read_resolution(query, ladder)
    zone, now = read_zone(query), now_us()
    given_from, to_us = read_range(query, now, zone)
    newest = given_from is None
    from_us = 0 if given_from is None else given_from
    limit = read_limit(query, DEFAULT_LIMIT)
    if cursor := read(query, "cursor", CandleCursor.read):
        newest = cursor.direction == "before"
        if newest:
            to_us = min(to_us, cursor.start_us)
        else:
            from_us = max(from_us, cursor.start_us + 1)
    timeframe = resolution.timeframe
    as_of_us = read_time_us(query, "as_of", now, zone)
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
    name, days = _read_with_days(query, "timeframe", ladder[0].name)
    try:
        return resolved(of_days(name, days), ladder)
    except ValueError as error:
        raise ParameterError(f"timeframe: {str(error).removeprefix('timeframe ')}") from error


def _read_with_days(
    query: Mapping[str, str], name: str, default: str
) -> tuple[str, TradingDays | None]:
    """Read a name behind which trading days may follow an @; else those of `read_days`."""
    text, _, days_name = (query.get(name) or default).partition("@")
    days = read({name: days_name}, name, trading_days)
    if days is not None and (query.get("session") or query.get("calendar")):
        raise ParameterError(f"{name}: {days_name!r} says whose days; leave out session, calendar")
    return text, days or read_days(query)


def read_days(query: Mapping[str, str]) -> TradingDays | None:
    """Read whose days: session, else calendar, else tz; None: UTC. Raises ParameterError."""
    if query.get("session") and query.get("calendar"):
        raise ParameterError("session: a calendar has sessions of its own; leave out one of both")
    return (
        read(query, "session", session_days)
        or read(query, "calendar", ExchangeDays)
        or read(query, "tz", trading_days)
    )


def read_indicators(query: Mapping[str, str]) -> tuple[AnyIndicator, ...]:
    """Read `indicators`. Raises ParameterError."""
    return read(query, "indicators", parse_indicators) or ()


def read_ticks(
    query: Mapping[str, str], span_us: int | None, limit: int, now_us: int | None = None
) -> TickPage:
    """Read a page of ticks; without `from` of the last `span_us`, or all. Raises ParameterError."""
    now_us = time.time_ns() // 1000 if now_us is None else now_us
    from_us, to_us = read_range(query, now_us)
    if from_us is None:
        from_us = 0 if span_us is None else max(0, min(now_us, to_us) - span_us)
    cursor = read(query, "cursor", TickCursor.read)
    place = None if cursor is None else cursor.key
    return TickPage(from_us, to_us, read_limit(query, limit), place=place)


def read_raw_ticks(query: Mapping[str, str]) -> TickPage:
    """Read from, to, limit and cursor of raw ticks, in either direction. Raises ParameterError."""
    return TickPage(*_read_either_way(query))


def read_bars(query: Mapping[str, str]) -> BarPage:
    """Read the parameters of bars. Raises ParameterError."""
    text, days = _read_with_days(query, "type", DEFAULT_BARS)
    try:
        type_ = BarType.parse(text)
    except ValueError as error:
        raise ParameterError(f"type: {error}") from error
    frame, indicators = of_days("1d", days), read_indicators(query)
    return BarPage(*_read_either_way(query), type=type_, frame=frame, indicators=indicators)


def _read_either_way(query: Mapping[str, str]) -> tuple[int, int, int, bool, OrderKey | None]:
    """Read the fields of a page of ticks in either direction."""
    from_us, to_us = read_range(query, now_us(), read_zone(query))
    newest, place = from_us is None, None
    if (cursor := read(query, "cursor", _read_place)) is not None:
        newest, place = cursor
    return from_us or 0, to_us, read_limit(query, DEFAULT_LIMIT), newest, place


def _read_place(text: str) -> tuple[bool, OrderKey]:
    place = TickPlace.read(text)
    return place.direction == "before", place.key


def read(query: Mapping[str, str], name: str, parse: Callable[[str], T]) -> T | None:
    """Read a parameter; None where it is absent. Raises ParameterError: what `parse` says."""
    text = query.get(name)
    try:
        return parse(text) if text else None
    except ValueError as error:
        raise ParameterError(f"{name}: {error}") from error


def read_choice(query: Mapping[str, str], name: str, choices: Sequence[str]) -> str:
    """Read one of the choices, by default the first. Raises ParameterError."""
    text = query.get(name) or choices[0]
    if text not in choices:
        raise ParameterError(f"{name}: {text[:40]!r} is none of {', '.join(choices)}")
    return text


def refuse_unknown(query: QueryParams, allowed: Set[str]) -> None:
    """Raise ParameterError if a parameter is unknown or repeated.

    Only `symbol` may be repeated.
    """
    if unknown := sorted(set(query) - allowed):
        choices = f"there are {', '.join(sorted(allowed))}" if allowed else "there are none here"
        raise ParameterError(f"{unknown[0][:40]}: no such parameter; {choices}")
    names = [name for name, _ in query.multi_items() if name != "symbol"]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise ParameterError(f"{twice}: is there {names.count(twice)} times: say it once")


def read_limit(query: Mapping[str, str], default: int) -> int:
    """Read `limit`. Raises ParameterError."""
    text = query.get("limit")
    if not text:
        return default
    if re.fullmatch(r"[0-9]{1,6}", text) is None or not 1 <= int(text) <= MAX_LIMIT:
        raise ParameterError(f"limit: {text[:40]!r} is not a whole number from 1 to {MAX_LIMIT}")
    return int(text)


def read_range(query: Mapping[str, str], now_us: int, zone: tzinfo = UTC) -> tuple[int | None, int]:
    """Read `from` (None if absent) and `to`, the end. Raises ParameterError."""
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
    return read(query, name, lambda text: _within(parse_relative_us(text, now_us, zone)))


def read_zone(query: Mapping[str, str]) -> tzinfo:
    """Read `tz`. Raises ParameterError."""
    return read(query, "tz", zone_of) or UTC


def _within(time_us: int) -> int:
    return min(max(time_us, 0), FURTHEST_US)


def now_us() -> int:
    """Return the time, microseconds since 1970 UTC."""
    return time.time_ns() // 1000
