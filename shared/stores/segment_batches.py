"""Decodes one instrument's rows of many segments together, column by column."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import compress
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from shared.candles.trades import NO_ROWS, Rows, concatenated
from shared.stores.planes import NARROW, signed, sliced
from shared.stores.segment_columns import Segment
from shared.stores.segments import each_run, of_instrument
from shared.wire.ticks import INTEGER_ID, Int64s, Texts

MOST_TICKS: Final = 32_768
"""Ticks of all instruments decoded at once; a single segment may have more."""


def batches(segments: Sequence[Segment]) -> Iterator[Sequence[Segment]]:
    """Yield the segments in order, in batches of at most MOST_TICKS."""
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
        parts += [Rows.of(each) for each in each_run(segment, runs, choose(segment, runs))]
    if narrow_segments := list(compress(segments, narrow)):
        parts.append(_rows_of_narrow(narrow_segments, instrument))
    return concatenated(parts) if parts else NO_ROWS


def _is_narrow(segment: Segment) -> bool:
    """Tell whether 64 bits hold every value and every difference between two."""
    n = segment.tick_count
    return (
        (len(segment.size) < 8 * n or (len(segment.size) == 8 * n and max(segment.size[:n]) < 0x80))
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
    """The instrument's runs in all segments: in each they follow one another, and so their ticks.

    `firsts`, `stops`: places of the instrument's ticks in each segment.
    """

    def __init__(self, segments: Sequence[Segment], instrument: str) -> None:
        self._segments = segments
        self._counts = [each.run_count for each in segments]
        counts = np.array(self._counts, dtype=np.int64)
        ends = np.cumsum(counts)
        name = self._full_column("run_name")
        lines = np.array([_line_of(instrument, each.names) for each in segments], dtype=np.int64)
        chosen = np.flatnonzero(_sums(name, counts) - 1 == np.repeat(lines, counts))
        all_ticks = self._full_column("run_ticks")
        self.segment = np.searchsorted(ends, chosen, side="right")
        self.ticks = all_ticks[chosen]
        is_last = np.append(np.diff(self.segment) != 0, True)
        self._stop_runs = (chosen[is_last] + 1 - (ends - counts)).tolist()
        self._first_runs = (chosen[np.append(True, is_last[:-1])] - (ends - counts)).tolist()
        stops = _sums(all_ticks, counts)[chosen[is_last]]
        self.counts = np.bincount(self.segment, self.ticks).astype(np.int64)
        self.stops: list[int] = stops.tolist()
        self.firsts: list[int] = (stops - self.counts).tolist()

    def _full_column(self, name: str) -> Int64s:
        planes = [getattr(each, name) for each in self._segments]
        return sliced(planes, self._counts, [0] * len(planes), self._counts).astype(np.int64)

    def column(self, name: str) -> Int64s:
        """Return a column of the runs."""
        planes = [getattr(each, name) for each in self._segments]
        values = sliced(planes, self._counts, self._first_runs, self._stop_runs)
        return values.astype(np.int64)

    def labels(self, name: str, lists: Sequence[Sequence[str]]) -> Texts:
        """Return what a column of places refers to in its segment's list, for each row."""
        indices = zip(self.segment.tolist(), self.column(name).tolist(), strict=True)
        labels: Texts = np.array(
            [lists[segment][index] for segment, index in indices], dtype=object
        )
        return labels.repeat(self.ticks)


def _rows_of_narrow(segments: Sequence[Segment], instrument: str) -> Rows:
    counts = [each.tick_count for each in segments]
    runs = _Runs(segments, instrument)
    # A value that is a difference needs those before it: all up to the last one wanted.
    upto = np.array(runs.stops, dtype=np.int64)
    row = np.repeat(np.cumsum(upto) - np.cumsum(runs.counts), runs.counts)
    row += np.arange(len(row))

    def values(planes: list[bytes]) -> NDArray[np.uint64]:
        return sliced(planes, counts, runs.firsts, runs.stops)

    def differences(planes: list[bytes], number: int) -> Int64s:
        firsts = np.array([int(each.firsts[number]) for each in segments], dtype=np.int64)
        steps = signed(sliced(planes, counts, [0] * len(counts), runs.stops))
        totals: Int64s = _sums(steps, upto)[row] + np.repeat(firsts, runs.counts)
        return totals

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
        _texts(segments, runs),
        time_us + signed(values([each.receive_delay for each in segments])),
        runs.labels("run_event", [each.sources for each in segments]),
        differences([each.sequence for each in segments], 3),
        values([each.flags for each in segments]).astype(np.uint8),
        runs.labels("run_venue", [each.venues for each in segments]),
    )


def _sums(values: Int64s, counts: Int64s) -> Int64s:
    """Return the running sum of each of several concatenated columns."""
    sums = np.cumsum(values)
    before = np.append(0, sums)[np.cumsum(counts) - counts]
    running: Int64s = sums - np.repeat(before, counts)
    return running


def _line_of(instrument: str, names: str) -> int:
    """Return the line number of the instrument."""
    return f"\n{names}\n"[: f"\n{names}\n".index(f"\n{instrument}\n")].count("\n")


def _texts(segments: Sequence[Segment], runs: _Runs) -> Texts:
    texts: NDArray[Any] = np.full(int(runs.counts.sum()), "", dtype=object)
    begins = (np.cumsum(runs.counts) - runs.counts).tolist()
    for each, begin, first, stop in zip(segments, begins, runs.firsts, runs.stops, strict=True):
        if each.trade_id_text is not None:
            texts[begin : begin + stop - first] = each.trade_id_text[first:stop]
    return texts
