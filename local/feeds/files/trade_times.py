"""Times of recorded trades as times of input lines."""

from __future__ import annotations

from datetime import UTC, datetime, tzinfo
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import pyarrow as pa
import pyarrow.compute as pc

from local.feeds.files.errors import FileError
from local.feeds.files.layouts import UNITS, Layout
from local.feeds.files.opening import Part
from local.feeds.files.times import LOOK, Times

_CLOCK: Final = r"^\d{1,2}:\d\d(:\d\d([.,]\d+)?)?( ?[AaPp][Mm])?$|^\d{5,6}$|^\d{8,9}$"
"""A time of day, whose date stands in another column: also 93000, and 93000123 with its ms."""
_NUMBER: Final = r"^(\d+(\.\d*)?([eE]\+?\d+)?)?$"
_ABSENT: Final = pa.array(["", "null", "none", "nan", "nat", "na", "n/a", "-"])
_MISSING: Final = "missing"
"""Written where other rows of a file have a time: without one, a trade would be of today."""


class TradeTimes:
    """Reads the times of a part, table by table. `note` says how, if dates are ambiguous."""

    def __init__(self, part: Part, layout: Layout, zone: str) -> None:
        """`zone`: of times that state none, UTC if empty. Raises FileError."""
        self.note = ""
        self._layout = layout
        self._zone = _zone(part, zone) if zone else UTC
        self._times: Times | None = None
        self._midnight_us = 0 if layout.midnight is None else _midnight_us(part, *layout.midnight)

    def read(self, times: pa.ChunkedArray, dates: pa.ChunkedArray | None) -> pa.ChunkedArray:
        """Return microseconds since 1970 or, where a line may have the text, the text."""
        if dates is not None:
            times = _dated(dates, times)
        if self._layout.unit or self._layout.midnight is not None:
            return self._of_unit(times)
        if pc.all(pc.ascii_is_decimal(times)).as_py():
            return times
        if self._times is not None or not pc.all(pc.match_substring_regex(times, _NUMBER)).as_py():
            times = self._of_texts(times)
        absent = pc.is_in(pc.ascii_lower(times), _ABSENT)
        if not self._layout.header or pc.all(absent).as_py() or not pc.any(absent).as_py():
            return times
        return pc.if_else(absent, _MISSING, times)

    def _of_texts(self, texts: pa.ChunkedArray) -> pa.ChunkedArray:
        """Return texts in other notations than a line's as microseconds."""
        if self._times is None:
            first = [each for each in texts.slice(0, LOOK).to_pylist() if each]
            self._times = Times(first, zone=self._zone)
            self.note = self._times.note
        if self._times.is_plain and self._zone is UTC:
            return texts
        distinct = texts.combine_chunks().dictionary_encode()
        read = [_us(self._times, each) for each in distinct.dictionary.to_pylist()]
        return pa.chunked_array([pa.array(read, pa.string()).take(distinct.indices)])

    def _of_unit(self, column: pa.ChunkedArray) -> pa.ChunkedArray:
        """Return numbers of a known unit, or since a midnight, as microseconds."""
        per_us = UNITS[self._layout.unit or "ms"]
        chunk = column.combine_chunks()
        whole = pc.match_substring_regex(chunk, r"^\d{1,19}$").to_numpy(zero_copy_only=False)
        if whole.all():
            numbers = chunk.cast(pa.int64()).to_numpy()
            us = numbers * per_us if per_us > 0 else numbers // -per_us
            return pa.chunked_array([pa.array(us + self._midnight_us).cast(pa.string())])
        texts = []
        for text in chunk.to_pylist():
            seconds, _, fraction = text.partition(".")
            if seconds.isdigit() and (fraction.isdigit() or not fraction):
                factor = per_us if per_us > 0 else 1
                below = int(fraction.ljust(18, "0")[:18] or 0) * factor // 10**18
                us = int(seconds) * factor + below
                texts.append(str((us if per_us > 0 else us // -per_us) + self._midnight_us))
            else:
                texts.append(text)
        return pa.chunked_array([pa.array(texts, type=pa.string())])


def _us(times: Times, text: str) -> str:
    """Return a text as microseconds, unchanged if it is no time: the pipeline rejects it."""
    try:
        return str(times.us(text)) if text else ""
    except (ValueError, OverflowError):
        return text


def _dated(dates: pa.ChunkedArray, times: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return times with their dates where they are only times of the day."""
    is_clock = pc.match_substring_regex(times, _CLOCK)
    is_short = pc.match_substring_regex(times, r"^\d{5,6}$")
    clocks = pc.if_else(is_short, pc.utf8_lpad(times, 6, "0"), times)
    is_long = pc.match_substring_regex(times, r"^\d{8,9}$")
    below = pc.replace_substring_regex(
        pc.utf8_lpad(times, 9, "0"), r"^(\d\d)(\d\d)(\d\d)(\d{3})$", r"\1:\2:\3.\4"
    )
    clocks = pc.if_else(is_long, below, clocks)
    return pc.if_else(is_clock, pc.binary_join_element_wise(dates, clocks, " "), times)


def _zone(part: Part, zone: str) -> tzinfo:
    try:
        return ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError):
        raise FileError(
            f"{part}: no time zone {zone!r} is known here; install the system's tzdata, or the"
            " Python package tzdata"
        ) from None


def _midnight_us(part: Part, zone: str, date: str) -> int:
    try:
        midnight = datetime.strptime(date, "%Y%m%d").replace(tzinfo=_zone(part, zone))
    except ValueError:
        raise FileError(f"{part}: {date} is no date") from None
    return int(midnight.timestamp()) * 1_000_000
