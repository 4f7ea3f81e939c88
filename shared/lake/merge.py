"""Sorted files merged into one sorted stream in bounded memory."""

from __future__ import annotations

import sys
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

import pyarrow as pa

Key = tuple[Any, ...]

_STEP: Final = 8_192
"""Rows that are folded at once, about: what a fold takes is a multiple of them."""


def merged(
    sources: Sequence[Iterator[pa.Table]],
    key: tuple[str, ...],
    group_us: int,
    fold: Callable[[pa.Table], pa.Table],
) -> Iterator[pa.Table]:
    """Yield the rows of all sources, each sorted by `key`, folded group by group.

    The last column of the key is a time. Rows that agree in the other columns and lie in the same
    interval of `group_us` microseconds are one group: `fold` gets whole groups, and returns them
    sorted. A group that is larger than the buffers is held whole.
    """
    runs = [_Run(source, key, group_us) for source in sources]
    while runs := [run for run in runs if run.filled()]:
        next_group = min(run.group(_STEP // len(runs)) for run in runs)
        end_group = min((run.group() for run in runs if not run.ended), default=None)
        if parts := _rows_before(runs, next_group) or _rows_before(runs, end_group):
            yield fold(pa.concat_tables(parts))
        else:  # one group fills the buffers of those that end in it
            for run in runs:
                if not run.ended and run.group() == end_group:
                    run.extend()


def _rows_before(runs: list[_Run], bound: Key | None) -> list[pa.Table]:
    return [part for run in runs if len(part := run.before(bound))]


class _Run:
    """A source with the rows that were read of it and not taken yet."""

    def __init__(self, source: Iterator[pa.Table], key: tuple[str, ...], group_us: int) -> None:
        self._source, self._key, self._group_us = source, key, group_us
        self._rows: pa.Table | None = None
        self._refill_below = 0
        self.ended = False

    def filled(self) -> bool:
        """Read on where little is left; return whether there is anything.

        A run with little left would end the next step early for all.
        """
        while not self.ended and (self._rows is None or len(self._rows) <= self._refill_below):
            self.extend()
        return bool(self._rows)

    def extend(self) -> None:
        """Read on."""
        batch = next(self._source, None)
        if batch is None:
            self.ended = True
        elif self._rows is None or not len(self._rows):
            self._rows, self._refill_below = batch, len(batch) // 2
        else:
            self._rows, self._refill_below = pa.concat_tables([self._rows, batch]), len(batch) // 2

    def group(self, at: int = sys.maxsize) -> Key:
        """Return the group of a row; of the last one, what was not read yet is of it, or later."""
        assert self._rows is not None
        at = min(at, len(self._rows) - 1)
        *head, time_us = (column[at] for column in self._columns())
        return (*head, time_us - time_us % self._group_us)

    def before(self, bound: Key | None) -> pa.Table:
        """Take the rows before a group; all without one."""
        assert self._rows is not None
        low, high = 0, len(self._rows)
        if bound is not None:
            for column, value in zip(self._columns(), bound, strict=True):
                start = bisect_left(column, value, low, high)
                low, high = start, bisect_right(column, value, start, high)
            high = low
        rows, self._rows = self._rows.slice(0, high), self._rows.slice(high)
        return rows

    def _columns(self) -> list[_Column]:
        assert self._rows is not None
        return [_Column(self._rows[name]) for name in self._key]


class _Column(Sequence[Any]):
    """A column as a sequence of Python values, times in microseconds."""

    def __init__(self, column: pa.ChunkedArray) -> None:
        self._column = column.cast(pa.int64()) if pa.types.is_timestamp(column.type) else column

    def __len__(self) -> int:
        return len(self._column)

    def __getitem__(self, at: Any) -> Any:
        return self._column[at].as_py()
