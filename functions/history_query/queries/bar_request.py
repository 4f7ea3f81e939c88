"""Request for information bars."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from functions.history_query.api.parameters import (
    DEFAULT_LIMIT,
    ParameterError,
    now_us,
    read,
    read_days,
    read_indicators,
    read_limit,
    read_place,
    read_range,
    read_zone,
)
from shared.analysis.indicators import AnyIndicator
from shared.market.bar_types import BarType
from shared.market.calendar_timeframes import of_days
from shared.market.order import OrderKey
from shared.market.timeframes import Timeframe
from shared.market.trading_days import trading_days

DEFAULT_TYPE: Final = "tick:1000"


@dataclass(frozen=True, slots=True)
class BarPage:
    """Bars that begin in [from_us, to_us), at most `limit`, the first or the `newest` of them.

    `frame`: trading days, each of which starts a new bar. `place`: only bars after the one that
    ends there, or before it if `newest`. `indicators` are computed for each bar.
    """

    type: BarType
    frame: Timeframe
    from_us: int
    to_us: int
    limit: int
    newest: bool
    place: OrderKey | None = None
    indicators: tuple[AnyIndicator, ...] = ()


def read_bars(query: Mapping[str, str]) -> BarPage:
    """Read all but columns and format. Raises ParameterError."""
    text, _, days_text = (query.get("type") or DEFAULT_TYPE).partition("@")
    try:
        type_ = BarType.parse(text)
    except ValueError as error:
        raise ParameterError(f"type: {error}") from error
    days = read({"type": days_text}, "type", trading_days)
    if days is not None and (query.get("session") or query.get("calendar")):
        raise ParameterError(f"type: {days_text!r} says whose days; leave out session, calendar")
    zone, now = read_zone(query), now_us()
    from_us, to_us = read_range(query, now, zone)
    newest, place = from_us is None, None
    if (cursor := read_place(query)) is not None:
        newest, place = cursor[0] == "before", cursor[1]
    return BarPage(
        type_,
        of_days("1d", days or read_days(query)),
        from_us or 0,
        to_us,
        read_limit(query, DEFAULT_LIMIT),
        newest,
        place,
        read_indicators(query),
    )
