"""Ids of counted trades, by shard and minute, as far as this replica has read them."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from functions.candle_aggregate.steps.cache import Ints
from shared.schema import state_pb2

_MINUTES: Final = 64
"""Minutes whose ids stay cached after a lookup, of all shards together."""

Minute = tuple[int, int]
"""Shard, and minute since 1970 UTC."""


@dataclass(slots=True)
class SeenIds:
    """Ids of one minute and shard: runs of integers by the instrument's number, and digests.

    `size`: bytes of the minute's string read so far.
    """

    numbers: Ints
    firsts: Ints
    lengths: Ints
    digests: set[bytes]
    size: int

    @classmethod
    def decode(cls, blob: bytes) -> SeenIds:
        """Read SeenTrades messages, one after the other."""
        message = state_pb2.SeenTrades.FromString(blob)
        halves = np.array(message.digest, dtype="<u8").tobytes()
        return cls(
            np.array(message.number, dtype=np.int64),
            np.array(message.first, dtype=np.int64),
            np.array(message.length, dtype=np.int64),
            {halves[n : n + 16] for n in range(0, len(halves), 16)},
            len(blob),
        )

    def overlaps(self, numbers: Ints, firsts: Ints, lasts: Ints) -> NDArray[np.bool_]:
        """Tell for each instrument's number and range of ids whether any of these lies in it."""
        found = np.zeros(len(firsts), dtype=bool)
        if not len(firsts):
            return found
        ends = self.firsts + self.lengths
        near = np.flatnonzero((self.firsts <= lasts.max()) & (ends > firsts.min()))
        near = near[np.isin(self.numbers[near], numbers)]
        if not len(near):
            return found
        # Runs and ranges in one order: the run that begins last within a range, or before it, is
        # the only one to ask.
        number = np.concatenate([self.numbers[near], numbers])
        value = np.concatenate([self.firsts[near], lasts])
        is_range = np.arange(len(number)) >= len(near)
        order = np.lexsort((is_range, value, number))
        before = np.maximum.accumulate(np.where(is_range[order], -1, np.arange(len(order))))
        places = np.flatnonzero(is_range[order])
        run = order[np.maximum(before[places], 0)]
        asked = order[places] - len(near)
        same = (before[places] >= 0) & (number[run] == numbers[asked])
        found[asked] = same & (ends[near][np.where(same, run, 0)] > firsts[asked])
        return found

    def extend(self, blob: bytes) -> None:
        """Add what was appended to the minute's string."""
        added = SeenIds.decode(blob)
        self.numbers = np.concatenate([self.numbers, added.numbers])
        self.firsts = np.concatenate([self.firsts, added.firsts])
        self.lengths = np.concatenate([self.lengths, added.lengths])
        self.digests |= added.digests
        self.size += added.size


class SeenCache:
    """Ids of minutes as far as read. A string only grows until it is deleted (see `Lease.life`)."""

    def __init__(self) -> None:
        self.minutes: OrderedDict[Minute, SeenIds] = OrderedDict()

    def size(self, minute: Minute) -> int:
        """Return how many bytes of a minute's string were read."""
        return self.minutes[minute].size if minute in self.minutes else 0

    def load(self, minute: Minute, blob: bytes) -> None:
        """Add the bytes read from `size` on."""
        if minute not in self.minutes:
            self.minutes[minute] = SeenIds.decode(blob)
        elif blob:
            self.minutes[minute].extend(blob)
        self.minutes.move_to_end(minute)

    def forget(self, shard: int) -> None:
        """Forget a shard."""
        for minute in [each for each in self.minutes if each[0] == shard]:
            del self.minutes[minute]

    def trim(self) -> None:
        """Forget the minutes least recently read."""
        while len(self.minutes) > _MINUTES:
            self.minutes.popitem(last=False)
