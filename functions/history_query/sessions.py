"""Candles that begin with a trading session: `session=09:15@Asia/Kolkata`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from shared.timeframes import Timeframe

DAY_US: Final = 86_400_000_000
_FORM: Final = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])@([A-Za-z0-9_+/-]{1,64})")
_SEASONS: Final = (datetime(2024, 1, 15, tzinfo=UTC), datetime(2024, 7, 15, tzinfo=UTC))


@dataclass(frozen=True, slots=True)
class Session:
    """When the day begins: a wall-clock time in a zone, also when its clocks are changed."""

    minute: int
    zone: ZoneInfo

    @classmethod
    def parse(cls, text: str) -> Session:
        """Read `HH:MM@Area/City`. Raises ValueError that says what is wrong."""
        match = _FORM.fullmatch(text)
        if match is None:
            raise ValueError(f"{text[:40]!r} is not a time and a zone, such as 09:15@Asia/Kolkata")
        return cls(int(match[1]) * 60 + int(match[2]), zone_of(match[3]))

    def opening_us(self, time_us: int) -> int:
        """Return the last opening at or before a time."""
        local = datetime.fromtimestamp(time_us // 1_000_000, self.zone)
        found = self._opening(local)
        return found if found <= time_us else self._opening(local - timedelta(days=1))

    def divides(self, timeframe: Timeframe) -> bool:
        """Tell whether every opening is a start of the timeframe, in summer and winter."""
        return all(
            self._opening(season.astimezone(self.zone)) % timeframe.length_us == 0
            for season in _SEASONS
        )

    def _opening(self, local: datetime) -> int:
        at = local.replace(hour=self.minute // 60, minute=self.minute % 60, second=0, microsecond=0)
        return round(at.timestamp()) * 1_000_000


@dataclass(frozen=True, order=True)
class SessionTimeframe(Timeframe):
    """Intervals counted from each opening of the session; the last of a day may be shorter."""

    session: Session

    def start_us(self, event_time_us: int) -> int:
        """Return the start of the interval that holds the time."""
        opening = self.session.opening_us(event_time_us)
        return opening + (event_time_us - opening) // self.length_us * self.length_us

    def next_us(self, start_us: int) -> int:
        """Return the start of the interval after the one that starts there."""
        opening = self.session.opening_us(start_us)
        closing = self.session.opening_us(opening + DAY_US + DAY_US // 4)
        return min(start_us + self.length_us, closing)


def zone_of(name: str) -> ZoneInfo:
    """Return a time zone. Raises ValueError when there is none of that name."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ValueError(f"{name[:40]!r} is no time zone, such as Asia/Kolkata") from error
