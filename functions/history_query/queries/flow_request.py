"""Request for order flow or a volume profile."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from functions.history_query.api.parameters import (
    Page,
    ParameterError,
    now_us,
    read_days,
    read_page,
    read_range,
    read_time_us,
    read_zone,
)
from shared.market.calendar_timeframes import of_days
from shared.market.timeframes import Timeframe
from shared.market.trading_days import trading_days

PROFILE_US: Final = 86_400_000_000
"""Range of a profile when the request has no `from`."""
_NUMBER: Final = re.compile(r"[0-9]{1,24}(\.[0-9]{1,24})?")


@dataclass(frozen=True, slots=True)
class FlowRequest:
    """Candles, and the anchor of their cumulative flow: each trading day, or a time."""

    page: Page
    day: Timeframe
    since_us: int | None

    def anchor_of(self, start_us: int) -> int:
        """Return the anchor (us) of the candle that starts at `start_us`."""
        return self.day.start_us(start_us) if self.since_us is None else self.since_us


@dataclass(frozen=True, slots=True)
class ProfileRequest:
    """Trades in [from_us, to_us) by steps of price; `share` of the volume is the value area."""

    from_us: int
    to_us: int
    step: Decimal | None
    share: Decimal


def read_flow(query: Mapping[str, str], ladder: tuple[Timeframe, ...]) -> FlowRequest:
    """Read the parameters of a page of candles, and `anchor`. Raises ParameterError."""
    page = read_page(query, ladder)
    _, _, days = page.timeframe.name.partition("@")
    day = of_days("1d", trading_days(days) if days else read_days(query))
    since_us = None
    if (query.get("anchor") or "day") != "day":
        since_us = read_time_us(query, "anchor", now_us(), read_zone(query))
    return FlowRequest(page, day, since_us)


def read_profile(query: Mapping[str, str]) -> ProfileRequest:
    """Read from, to, tz, step and value_area. Raises ParameterError."""
    zone, now = read_zone(query), now_us()
    from_us, to_us = read_range(query, now, zone)
    if from_us is None:
        from_us = max(0, min(now, to_us) - PROFILE_US)
    step, share = _number(query, "step"), _number(query, "value_area")
    if step is not None and not step:
        raise ParameterError("step: more than 0")
    if share is not None and not 0 < share <= 1:
        raise ParameterError("value_area: a share of the volume above 0, up to 1, such as 0.7")
    return ProfileRequest(from_us, to_us, step, Decimal("0.7") if share is None else share)


def _number(query: Mapping[str, str], name: str) -> Decimal | None:
    text = query.get(name)
    if not text:
        return None
    if _NUMBER.fullmatch(text) is None:
        raise ParameterError(f"{name}: {text[:40]!r} is no number, such as 0.5")
    return Decimal(text)
