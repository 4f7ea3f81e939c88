"""Where the objects of the lake lie, and what is known of one that was written."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Final
from urllib.parse import quote, unquote

TICKS: Final = "ticks"
CANDLES: Final = "candles"

HOUR_US: Final = 3_600_000_000
DAY_US: Final = 86_400_000_000


@dataclass(frozen=True, slots=True)
class Place:
    """What a file is of: an hour of an instrument's ticks, or a day of its candles."""

    bucket: str
    instrument: str
    timeframe: str
    from_us: int
    to_us: int

    @classmethod
    def of_ticks(cls, instrument: str, time_us: int) -> Place:
        """Return the hour that holds the time."""
        start = time_us - time_us % HOUR_US
        return cls(TICKS, instrument, "", start, start + HOUR_US)

    @classmethod
    def of_candles(cls, instrument: str, timeframe: str, time_us: int) -> Place:
        """Return the day that holds the start of a candle."""
        start = time_us - time_us % DAY_US
        return cls(CANDLES, instrument, timeframe, start, start + DAY_US)

    @classmethod
    def of_folder(cls, bucket: str, folder: str) -> Place:
        """Return what a folder is of. Raises ValueError: it is none of a lake's."""
        try:
            names = dict(part.split("=", 1) for part in folder.split("/"))
            instrument = unquote(names["symbol"])
            day_us = begin_us(date.fromisoformat(names["date"]))
            if bucket == TICKS:
                found = cls.of_ticks(instrument, day_us + int(names["hour"]) * HOUR_US)
            else:
                found = cls.of_candles(instrument, names["timeframe"], day_us)
        except (KeyError, ValueError) as error:
            raise ValueError(f"{bucket}/{folder} is no folder of a lake") from error
        if found.folder != folder:
            raise ValueError(f"{bucket}/{folder} is no folder of a lake")
        return found

    @property
    def folder(self) -> str:
        """The Hive-partitioned folder. A symbol's `/` is written %2F, as readers expect."""
        symbol = f"symbol={quote(self.instrument, safe='')}"
        start = datetime.fromtimestamp(self.from_us // 1_000_000, UTC)
        if self.bucket == TICKS:
            return f"{symbol}/date={start:%Y-%m-%d}/hour={start:%H}"
        return f"timeframe={self.timeframe}/{symbol}/date={start:%Y-%m-%d}"


@dataclass(frozen=True, slots=True)
class Written:
    """An object that was created, and what its record must say."""

    place: Place
    path: str
    whole: bool
    rows: int
    bytes: int
    sha256: str
    min_time_us: int
    max_time_us: int


def day_of(time_us: int) -> date:
    """Return the UTC day of a time."""
    return date(1970, 1, 1) + timedelta(days=time_us // DAY_US)


def begin_us(day: date) -> int:
    """Return where a UTC day begins."""
    return (day - date(1970, 1, 1)).days * DAY_US
