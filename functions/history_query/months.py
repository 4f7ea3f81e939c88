"""Candles of calendar months, UTC: `1M`."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from shared.timeframes import Timeframe

_LONGEST_US: Final = 31 * 86_400_000_000
_LAST_S: Final = 253_400_000_000
"""The calendar ends with the year 9999."""


class MonthTimeframe(Timeframe):
    """Intervals from the first of a month to the first of the next one."""

    def start_us(self, event_time_us: int) -> int:
        """Return the start of the month that holds the time."""
        moment = datetime.fromtimestamp(min(event_time_us // 1_000_000, _LAST_S), UTC)
        return int(datetime(moment.year, moment.month, 1, tzinfo=UTC).timestamp()) * 1_000_000

    def next_us(self, start_us: int) -> int:
        """Return the start of the month after the one that starts there."""
        return self.start_us(start_us + _LONGEST_US)


MONTH: Final = MonthTimeframe(_LONGEST_US, "1M")
