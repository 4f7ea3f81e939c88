"""Sorted files merged into one sorted stream in bounded memory."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

import pyarrow as pa

ROWS: Final = 256_000
"""Rows held of all files together, about."""

Key = tuple[Any, ...]


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
        bound = min((run.last for run in runs if not run.ended), default=None)
        parts = [part for run in runs if len(part := run.before(bound))]
        if parts:
            yield fold(pa.concat_tables(parts))
        else:  # one group fills the buffers of those that end in it
            for run in runs:
                if not run.ended and run.last == bound:
                    run.extend()


class _Run:
    """A source with the rows that were read of it and not taken yet."""

    def __init__(self, source: Iterator[pa.Table], key: tuple[str, ...], group_us: int) -> None:
        self._source, self._key, self._group_us = source, key, group_us
        self._rows: pa.Table | None = None
        self.ended = False

    def filled(self) -> bool:
        """Read on where nothing is left; return whether there is anything."""
        while not self.ended and (self._rows is None or not len(self._rows)):
            self.extend()
        return bool(self._rows)

    def extend(self) -> None:
        """Read on."""
        more = next(self._source, None)
        if more is None:
            self.ended = True
        elif self._rows is None or not len(self._rows):
            self._rows = more.combine_chunks()
        else:
            self._rows = pa.concat_tables([self._rows, more]).combine_chunks()

    @property
    def last(self) -> Key:
        """The group of the last row: what was not read yet is of it, or of a later one."""
        assert self._rows is not None
        *head, time_us = (column[-1] for column in self._columns())
        return (*head, time_us - time_us % self._group_us)

    def before(self, bound: Key | None) -> pa.Table:
        """Take the rows before a group; all without one."""
        assert self._rows is not None
        low, high = 0, len(self._rows)
        if bound is not None:
            for column, value in zip(self._columns(), bound, strict=True):
                first = bisect_left(column, value, low, high)
                low, high = first, bisect_right(column, value, first, high)
            high = low
        taken, self._rows = self._rows.slice(0, high), self._rows.slice(high)
        return taken

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
