"""Format `lean-equity`: US equity trade ticks in the files of QuantConnect's Lean.

A zip file of one table per day: milliseconds since New York midnight, price x 10,000, size,
exchange, sale condition (hexadecimal), suspicious. Source: Lean, `Data/equity/readme.md`.
Every print is sent, whatever its sale condition: Lean's own bars leave some of them out.
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from local.feeds.formats.errors import BadRowError, FeedFileError, excerpt
from local.feeds.formats.opening import Reading, only_member, rows
from local.feeds.tick import Tick

NEW_YORK: Final = "America/New_York"

_MEMBER: Final = re.compile(r"(?P<date>[0-9]{8})_(?P<symbol>[^_]+)_(?P<kind>.+)\.csv", re.ASCII)
_ARCHIVE: Final = re.compile(
    r"(?P<symbol>[^-]+)-(?P<date>[0-9]{8})-(?P<kind>[a-z]+)\.zip", re.ASCII
)
_KINDS: Final = ("trade_tick", "tick", "tick_trade")
_COLUMNS: Final = 6
_PRICE_DIGITS: Final = 4
_DAY_MS: Final = 24 * 60 * 60 * 1000


def read(path: Path, symbol: str | None = None, reading: Reading | None = None) -> Iterator[Tick]:
    """Yield the trades of one day. Symbol and date come from the names of the file or its member.

    Prices have four decimals, as the file's integers do. There are no sides and no trade ids.

    Raises FeedFileError: the names tell no date, the file holds bars or quotes, a row is wrong,
    or the machine has no time zone data.
    """
    found = _described(path)
    if found["kind"].lower() not in _KINDS:
        raise FeedFileError(f"{path}: holds {found['kind']}, not trade ticks")
    name = symbol or found["symbol"].upper()
    midnight_ms = _midnight_ms(path, found["date"])
    for number, text in rows(path, reading):
        fields = text.split(",")
        if len(fields) != _COLUMNS:
            raise BadRowError(path, number, "the row", f"has {len(fields)} fields, not {_COLUMNS}")
        yield Tick(
            name,
            _price(path, number, fields[1]),
            str(_whole(path, number, "size", fields[2])),
            midnight_ms + _time_of_day_ms(path, number, fields[0]),
        )


def matches(path: Path, head: bytes) -> bool:
    """Tell whether a file, or the one file in it, is named as Lean names a day of ticks."""
    if _ARCHIVE.fullmatch(path.name) is not None:
        return True
    return zipfile.is_zipfile(path) and _MEMBER.fullmatch(_member(path)) is not None


def _member(path: Path) -> str:
    with zipfile.ZipFile(path) as archive:
        return Path(only_member(archive, path)).name


def _described(path: Path) -> re.Match[str]:
    """Return symbol, date and kind by the member's name, which is exact, else by the archive's."""
    found = None
    if path.is_file() and zipfile.is_zipfile(path):
        found = _MEMBER.fullmatch(_member(path))
    found = found or _MEMBER.fullmatch(path.name) or _ARCHIVE.fullmatch(path.name)
    if found is None:
        raise FeedFileError(
            f"{path}: the name does not tell the day; Lean names such a file spy-20131007-tick.zip"
        )
    return found


def _midnight_ms(path: Path, date: str) -> int:
    try:
        zone = ZoneInfo(NEW_YORK)
    except ZoneInfoNotFoundError:
        raise FeedFileError(
            f"{path}: its times count from midnight in New York, and this machine has no time zone "
            "data; install the system's tzdata, or the Python package `tzdata`"
        ) from None
    try:
        midnight = datetime.strptime(date, "%Y%m%d").replace(tzinfo=zone)
    except ValueError:
        raise FeedFileError(f"{path}: {date} is not a date") from None
    return int(midnight.timestamp()) * 1000


def _whole(path: Path, row: int, field: str, text: str) -> int:
    if not (text.isdecimal() and text.isascii() and len(text) <= 18):
        raise BadRowError(path, row, field, f"is not a whole number: {excerpt(text)}")
    return int(text)


def _price(path: Path, row: int, text: str) -> str:
    digits = str(_whole(path, row, "price", text)).zfill(_PRICE_DIGITS + 1)
    return f"{digits[:-_PRICE_DIGITS]}.{digits[-_PRICE_DIGITS:]}"


def _time_of_day_ms(path: Path, row: int, text: str) -> int:
    # Lean's newer files have fractions of a millisecond, finer than the input line can say.
    whole = _whole(path, row, "time", text.partition(".")[0])
    if whole >= _DAY_MS:
        raise BadRowError(path, row, "time", f"is past the end of the day: {excerpt(text)}")
    return whole
