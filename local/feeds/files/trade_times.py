"""Times of recorded trades as times of input lines."""

from __future__ import annotations

from datetime import UTC, datetime, tzinfo
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import pyarrow as pa
import pyarrow.compute as pc

from local.feeds.files.errors import FileError
from local.feeds.files.layouts import FIELDS, UNITS, Layout
from local.feeds.files.opening import Part
from local.feeds.files.times import ABSENT, LOOK, Times

_CLOCK: Final = r"^\d{1,2}:\d\d(:\d\d([.,]\d+)?)?( ?[AaPp][Mm])?$|^\d{6}$"
"""A time of day, whose date stands in another column; 93000 is padded to six digits."""
_MS_CLOCK: Final = r"^([01]\d|2[0-3])([0-5]\d)([0-5]\d)(\d{3})$"
"""093000123: with milliseconds."""
_NUMBER: Final = r"^(\d+(\.\d*)?([eE]\+?\d+)?)?$"
_ABSENT: Final = pa.array(sorted(ABSENT))
_MISSING: Final = "missing"
"""Written once a row of a file had a time: without one, a trade would be of today."""


class TradeTimes:
    """Reads the times of a part, table by table. `note` says how, if dates are ambiguous."""

    def __init__(self, part: Part, layout: Layout, zone: str) -> None:
        """`zone`: of times that state none, UTC if empty. Raises FileError."""
        self.note = ""
        self._layout = layout
        self._zone = _zone(part, zone) if zone else UTC
        self._has_times = False
        self._digits = 0
        self._times: Times | None = None
        self._midnight_us = 0 if layout.midnight is None else _midnight_us(part, *layout.midnight)

    def read(self, times: pa.ChunkedArray, dates: pa.ChunkedArray | None) -> pa.ChunkedArray:
        """Return microseconds since 1970 or, where a line may have the text, the text."""
        if dates is not None:
            times = self._dated(dates, times)
        absent = pc.is_in(pc.ascii_lower(times), _ABSENT)
        if not pc.all(absent).as_py():
            times = self._converted(times, pc.invert(absent))
            self._has_times = self._layout.names != FIELDS  # a sender's lines may have none
        return pc.if_else(absent, _MISSING, times) if self._has_times else times

    def _dated(self, dates: pa.ChunkedArray, times: pa.ChunkedArray) -> pa.ChunkedArray:
        """Return times with their dates where they are only times of the day.

        Numbers may lack leading zeros: the longest has all of its digits.
        """
        if pc.any(pc.match_substring_regex(_padded(times, 9, least=8), _MS_CLOCK)).as_py():
            self._digits = 9
        elif not self._digits and pc.any(pc.match_substring_regex(times, r"^\d{5,6}$")).as_py():
            self._digits = 6
        clocks = _padded(times, self._digits) if self._digits else times
        clocks = pc.replace_substring_regex(clocks, _MS_CLOCK, r"\1:\2:\3.\4")
        is_clock = pc.match_substring_regex(clocks, _CLOCK)
        return pc.if_else(is_clock, pc.binary_join_element_wise(dates, clocks, " "), times)

    def in_zone(self, column: pa.ChunkedArray) -> pa.ChunkedArray:
        """Return timestamps without a time zone as those of the stated one; others unchanged."""
        if self._zone is UTC or not pa.types.is_timestamp(column.type) or column.type.tz:
            return column
        return pc.assume_timezone(
            column, str(self._zone), ambiguous="earliest", nonexistent="latest"
        )

    def _converted(self, times: pa.ChunkedArray, present: pa.ChunkedArray) -> pa.ChunkedArray:
        if self._layout.unit or self._layout.midnight is not None:
            return self._of_unit(times)
        if pc.all(pc.ascii_is_decimal(times)).as_py():
            return times
        if self._times is None and pc.all(pc.match_substring_regex(times, _NUMBER)).as_py():
            return times
        return self._of_texts(times, present)

    def _of_texts(self, texts: pa.ChunkedArray, present: pa.ChunkedArray) -> pa.ChunkedArray:
        """Return texts in other notations than a line's as microseconds."""
        if self._times is None:
            self._times = Times(texts.filter(present)[:LOOK].to_pylist(), zone=self._zone)
            self.note = self._times.note
        if self._times.is_plain and self._zone is UTC:
            return texts
        distinct = texts.combine_chunks().dictionary_encode()
        read = [_us(self._times, each) for each in distinct.dictionary.to_pylist()]
        return pa.chunked_array([pa.array(read, pa.string()).take(distinct.indices)])

    def _of_unit(self, column: pa.ChunkedArray) -> pa.ChunkedArray:
        """Return numbers of a known unit, or since a midnight, as microseconds."""
        column = pc.replace_substring_regex(column, r"(\.\d{9})\d+$", r"\1")
        is_number = pc.match_substring_regex(column, r"^\d{1,19}(\.\d{1,9})?$")
        numbers = pc.if_else(is_number, column, "0").cast(pa.decimal128(28, 9))
        us = pc.multiply(numbers, pa.scalar(UNITS[self._layout.unit or "ms"]))
        us = pc.add(pc.trunc(us).cast(pa.decimal128(27, 0)), pa.scalar(self._midnight_us))
        return pc.if_else(is_number, us.cast(pa.string()), column)


def _us(times: Times, text: str) -> str:
    """Return a text as microseconds, unchanged if it is not a time: the pipeline rejects it."""
    try:
        return str(times.us(text)) if text else ""
    except (ValueError, OverflowError):
        return text


def _padded(texts: pa.ChunkedArray, digits: int, least: int = 1) -> pa.ChunkedArray:
    """Return numbers of `least` to `digits` digits with leading zeros."""
    is_number = pc.match_substring_regex(texts, rf"^\d{{{least},{digits}}}$")
    return pc.if_else(is_number, pc.utf8_lpad(texts, digits, "0"), texts)


def _zone(part: Part, zone: str) -> tzinfo:
    try:
        return ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise FileError(
            f"{part}: no time zone {zone!r} is known here; install the system's tzdata, or the"
            " Python package tzdata"
        ) from None


def _midnight_us(part: Part, zone: str, date: str) -> int:
    try:
        midnight = datetime.strptime(date, "%Y%m%d").replace(tzinfo=_zone(part, zone))
    except ValueError:
        raise FileError(f"{part}: {date} is not a date") from None
    return int(midnight.timestamp()) * 1_000_000
