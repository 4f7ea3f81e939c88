"""Sorted files merged into one sorted stream in bounded memory."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Sequence
from heapq import heappop, heappush
from operator import methodcaller
from typing import Any, Final

import pyarrow as pa

Group = tuple[Any, ...]

_STEP: Final = 8_192
"""Rows that are folded at once, about: what a fold takes is a multiple of them."""
_value: Final = methodcaller("as_py")
_END: Final[Group] = ("\U0010ffff",)
"""Comes after every group."""


def merged(
    sources: Sequence[Iterator[pa.Table]],
    key: tuple[str, ...],
    group_us: int,
    fold: Callable[[pa.Table], pa.Table],
) -> Iterator[pa.Table]:
    """Yield the rows of all sources, each sorted by `key`, folded group by group.

    The last column of the key is a time. Rows that agree in the other columns and lie in the same
    interval of `group_us` microseconds are one group: `fold` gets whole groups, and returns them
    sorted. A group that is larger than what is read at once is held whole.
    """
    held: list[pa.Table] = []
    ends: list[tuple[Group, int]] = []  # a heap: the last group that was read of each source

    def read(number: int) -> None:
        if (rows := next(sources[number], None)) is not None:
            held.append(rows)
            heappush(ends, (_group(rows, -1, key, group_us), number))

    for number in range(len(sources)):
        read(number)
    while held:
        whole = ends[0][0] if ends else _END  # groups before it are read whole
        cuts = [_before(rows, whole, key) for rows in held]
        if ends and sum(cuts) < _STEP:  # the source that ends first keeps all others back
            read(heappop(ends)[1])
            continue
        if sum(cuts) > _STEP:
            at = _STEP // sum(map(bool, cuts))
            groups = [
                _group(rows, at, key, group_us)
                for rows, cut in zip(held, cuts, strict=True)
                if cut and len(rows) > at
            ]
            near = min([whole, *groups])
            few = [_before(rows, near, key) for rows in held]
            cuts = few if any(few) else cuts
        parts = list(zip(held, cuts, strict=True))
        held = [rows.slice(cut) for rows, cut in parts if cut < len(rows)]
        folded = fold(pa.concat_tables(rows.slice(0, cut) for rows, cut in parts))
        del parts  # or tables that were folded stay in memory while others are read
        yield folded
        del folded


def _group(rows: pa.Table, at: int, key: tuple[str, ...], group_us: int) -> Group:
    *series, time_us = (column[at].as_py() for column in _columns(rows, key))
    return (*series, time_us - time_us % group_us)


def _before(rows: pa.Table, bound: Group, key: tuple[str, ...]) -> int:
    """Return how many rows come before a group."""
    low, high = 0, len(rows)
    for column, value in zip(_columns(rows, key), bound, strict=False):
        end, low = high, bisect_left(column, value, low, high, key=_value)
        high = bisect_right(column, value, low, end, key=_value)
    return low


def _columns(rows: pa.Table, key: tuple[str, ...]) -> list[Any]:
    return [*(rows[name] for name in key[:-1]), rows[key[-1]].cast(pa.int64())]
