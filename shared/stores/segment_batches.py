"""One instrument's rows of many segments, decoded together: a pass of arrays for each column."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import compress
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from shared.candles.trades import NO_ROWS, Rows, concatenated
from shared.stores.planes import NARROW, gathered, signed
from shared.stores.segment_columns import Segment
from shared.stores.segments import of_instrument, rows_of
from shared.wire.ticks import INTEGER_ID, Int64s, Texts

MOST_TICKS: Final = 32_768
"""Ticks of all instruments that are decoded at once, or those of one segment."""


def batches(segments: Sequence[Segment]) -> Iterator[Sequence[Segment]]:
    """Yield them in their order, so many at a time that they have MOST_TICKS."""
    first = count = 0
    for n, each in enumerate(segments):
        if n > first and count + each.tick_count > MOST_TICKS:
            yield segments[first:n]
            first, count = n, 0
        count += each.tick_count
    if first < len(segments):
        yield segments[first:]


def rows_of_instrument(segments: Sequence[Segment], instrument: str) -> Rows:
    """Return the rows of an instrument that every segment names."""
    narrow = [_is_narrow(each) for each in segments]
    choose = of_instrument(instrument)
    parts = []
    for segment in (
        each for each, is_narrow in zip(segments, narrow, strict=True) if not is_narrow
    ):
        runs = segment.runs()
        parts.append(rows_of(segment, runs, choose(segment, runs)))
    if some := list(compress(segments, narrow)):
        parts.append(_rows_of_narrow(some, instrument))
    return concatenated(parts) if parts else NO_ROWS


def _is_narrow(segment: Segment) -> bool:
    """Tell whether 64 bits hold every value and every difference between two."""
    n = segment.tick_count
    return (
        len(segment.size) <= 8 * n
        and all(-NARROW < first < NARROW for first in segment.firsts)
        and all(
            len(planes) < 8 * n
            for planes in (
                *(segment.event_time, segment.price, segment.trade_id),
                *(segment.receive_delay, segment.sequence),
            )
        )
    )


class _Runs:
    """The instrument's runs in all segments. `first`: place of a run's first tick."""

    def __init__(self, segments: Sequence[Segment], instrument: str) -> None:
        counts = np.array([each.run_count for each in segments], dtype=np.int64)
        segment, place = _numbered(counts)
        name = gathered([each.run_name for each in segments], counts, segment, place)
        ticks = gathered([each.run_ticks for each in segments], counts, segment, place)
        ends = _sums(ticks.astype(np.int64), counts)
        wanted = np.array([_line_of(instrument, each.names) for each in segments], dtype=np.int64)
        keep = np.flatnonzero(_sums(name.astype(np.int64), counts) - 1 == wanted[segment])
        self.segment = segment[keep]
        self.ticks = ticks[keep].astype(np.int64)
        self.first = ends[keep] - self.ticks
        self._segments, self._counts, self._place = segments, counts, place[keep]

    def column(self, name: str) -> Int64s:
        """Return a column of the runs."""
        planes = [getattr(each, name) for each in self._segments]
        found: Int64s = gathered(planes, self._counts, self.segment, self._place).astype(np.int64)
        return found

    def labels(self, name: str, lists: Sequence[Sequence[str]]) -> Texts:
        """Return what a column of places refers to in its segment's list, for each row."""
        places = zip(self.segment.tolist(), self.column(name).tolist(), strict=True)
        found: Texts = np.array([lists[segment][place] for segment, place in places], dtype=object)
        return found.repeat(self.ticks)


def _rows_of_narrow(segments: Sequence[Segment], instrument: str) -> Rows:
    counts = np.array([each.tick_count for each in segments], dtype=np.int64)
    runs = _Runs(segments, instrument)
    of = np.repeat(runs.segment, runs.ticks)
    at = np.repeat(runs.first - (np.cumsum(runs.ticks) - runs.ticks), runs.ticks)
    at += np.arange(len(at))
    # A value that is a difference needs those before it: all up to the last one wanted.
    upto = np.zeros(len(segments), dtype=np.int64)
    np.maximum.at(upto, runs.segment, runs.first + runs.ticks)
    every, place = _numbered(upto)
    row = (np.cumsum(upto) - upto)[of] + at

    def values(planes: list[bytes]) -> NDArray[np.uint64]:
        return gathered(planes, counts, of, at)

    def differences(planes: list[bytes], number: int) -> Int64s:
        firsts = np.array([int(each.firsts[number]) for each in segments], dtype=np.int64)
        steps = signed(gathered(planes, counts, every, place))
        found: Int64s = _sums(steps, upto)[row] + firsts[of]
        return found

    time_us = differences([each.event_time for each in segments], 0)
    kind = values([each.trade_id_kind for each in segments]).astype(np.uint8)
    trade_id = differences([each.trade_id for each in segments], 2)
    return Rows(
        time_us,
        differences([each.price for each in segments], 1),
        values([each.size for each in segments]).astype(np.int64),
        np.repeat(runs.column("run_price_scale").astype(np.int16), runs.ticks),
        np.repeat(runs.column("run_size_scale").astype(np.int16), runs.ticks),
        values([each.side for each in segments]).astype(np.uint8),
        kind,
        np.where(kind == INTEGER_ID, trade_id, 0),
        _texts(segments, of, at),
        time_us + signed(values([each.receive_delay for each in segments])),
        runs.labels("run_event", [each.sources for each in segments]),
        differences([each.sequence for each in segments], 3),
        values([each.flags for each in segments]).astype(np.uint8),
        runs.labels("run_venue", [each.venues for each in segments]),
    )


def _numbered(counts: Int64s) -> tuple[Int64s, Int64s]:
    """Return of every value of columns one after the other the column, and the place in it."""
    of = np.repeat(np.arange(len(counts)), counts)
    return of, np.arange(len(of)) - (np.cumsum(counts) - counts)[of]


def _sums(values: Int64s, counts: Int64s) -> Int64s:
    """Return the running sums of columns one after the other."""
    sums = np.cumsum(values)
    before = np.append(0, sums)[np.cumsum(counts) - counts]
    found: Int64s = sums - np.repeat(before, counts)
    return found


def _line_of(instrument: str, names: str) -> int:
    """Return which line the instrument is."""
    return f"\n{names}\n"[: f"\n{names}\n".index(f"\n{instrument}\n")].count("\n")


def _texts(segments: Sequence[Segment], of: Int64s, at: Int64s) -> Texts:
    found: NDArray[Any] = np.full(len(of), "", dtype=object)
    for n, each in enumerate(segments):
        if each.trade_id_text is not None:
            rows = np.flatnonzero(of == n)
            found[rows] = np.array(each.trade_id_text, dtype=object)[at[rows]]
    return found
