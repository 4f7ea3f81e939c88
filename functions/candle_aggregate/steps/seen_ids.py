"""Ids of counted trades, by shard and minute, as far as this replica has read them."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from functions.candle_aggregate.steps.cache import Ints
from shared.schema import state_pb2

_MINUTES: Final = 64
"""Minutes whose ids stay cached after a lookup, of all shards together."""

Minute = tuple[int, int]
"""Shard, and minute since 1970 UTC."""


class _Ranges(NamedTuple):
    """Ranges of integer ids, each of an instrument's number."""

    numbers: Ints
    firsts: Ints
    lasts: Ints

    def joined(self, other: _Ranges) -> _Ranges:
        """Return these and others."""
        return _Ranges(*map(np.concatenate, zip(self, other, strict=True)))

    def overlap(self, numbers: Ints, firsts: Ints, lasts: Ints) -> NDArray[np.bool_]:
        """Tell for each instrument's number and range of ids whether any of these meets it."""
        found = np.zeros(len(firsts), dtype=bool)
        if not len(firsts):
            return found
        near = np.flatnonzero((self.firsts <= lasts.max()) & (self.lasts >= firsts.min()))
        near = near[np.isin(self.numbers[near], numbers)]
        if not len(near):
            return found
        # All in one order: of the ranges that begin before the last id, the furthest last decides.
        ends, rank = np.unique(self.lasts[near], return_inverse=True)
        number = np.concatenate([self.numbers[near], numbers])
        value = np.concatenate([self.firsts[near], lasts])
        is_asked = np.arange(len(number)) >= len(near)
        order = np.lexsort((is_asked, value, number))
        base = number[order] * (len(ends) + 1)
        reached = base + np.append(rank + 1, np.zeros(len(firsts), dtype=np.int64))[order]
        furthest = np.maximum.accumulate(reached) - base
        places = np.flatnonzero(is_asked[order] & (furthest > 0))
        asked = order[places] - len(near)
        found[asked] = ends[furthest[places] - 1] >= firsts[asked]
        return found


_NONE: Final = _Ranges(*[np.zeros(0, dtype=np.int64)] * 3)


@dataclass(slots=True)
class SeenIds:
    """Ids of one minute and shard: integers as ranges and runs within these, and digests.

    `unread`: messages whose runs are decoded only if an id is in one of their ranges.
    `size`: bytes of the minute's string read so far.
    """

    ranges: _Ranges = _NONE
    runs: _Ranges = _NONE
    digests: set[bytes] = field(default_factory=set)
    unread: bytes = b""
    size: int = 0

    def extend(self, blob: bytes) -> None:
        """Add SeenTrades messages, one after the other."""
        message = state_pb2.SeenRanges.FromString(blob)
        halves = np.array(message.digest, dtype="<u8").tobytes()
        self.digests.update(halves[n : n + 16] for n in range(0, len(halves), 16))
        if sum(message.ranged_bytes) == len(blob):
            self.unread += blob
            ranges = _Ranges(
                np.array(message.range_number, dtype=np.int64),
                np.array(message.range_first, dtype=np.int64),
                np.array(message.range_last, dtype=np.int64),
            )
        else:
            ranges = _runs(blob)
            self.runs = self.runs.joined(ranges)
        self.ranges = self.ranges.joined(ranges)
        self.size += len(blob)

    def overlaps(self, numbers: Ints, firsts: Ints, lasts: Ints) -> NDArray[np.bool_]:
        """Tell for each instrument's number and range of ids whether any of these lies in it."""
        found = self.ranges.overlap(numbers, firsts, lasts)
        if found.any():
            if self.unread:
                self.runs, self.unread = self.runs.joined(_runs(self.unread)), b""
            rows = np.flatnonzero(found)
            found[rows] = self.runs.overlap(numbers[rows], firsts[rows], lasts[rows])
        return found


def _runs(blob: bytes) -> _Ranges:
    message = state_pb2.SeenTrades.FromString(blob)
    firsts = np.array(message.first, dtype=np.int64)
    lasts = firsts + (np.array(message.length, dtype=np.int64) - 1)
    return _Ranges(np.array(message.number, dtype=np.int64), firsts, lasts)


class SeenCache:
    """Ids of minutes as far as read. A string only grows until it is deleted (see `Lease.life`)."""

    def __init__(self) -> None:
        self.minutes: OrderedDict[Minute, SeenIds] = OrderedDict()

    def size(self, minute: Minute) -> int:
        """Return how many bytes of a minute's string were read."""
        return self.minutes[minute].size if minute in self.minutes else 0

    def load(self, minute: Minute, blob: bytes) -> None:
        """Add the bytes read from `size` on."""
        ids = self.minutes.setdefault(minute, SeenIds())
        if blob:
            ids.extend(blob)
        self.minutes.move_to_end(minute)

    def forget(self, shard: int) -> None:
        """Forget a shard."""
        for minute in [each for each in self.minutes if each[0] == shard]:
            del self.minutes[minute]

    def trim(self) -> None:
        """Forget the minutes least recently read."""
        while len(self.minutes) > _MINUTES:
            self.minutes.popitem(last=False)
