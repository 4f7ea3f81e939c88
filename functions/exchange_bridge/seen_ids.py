"""Received trades of a symbol by contiguous trade ids, and the missing ranges; pure."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import ClassVar, Final, NamedTuple

from functions.exchange_bridge.exchange import Trade

RESTARTED_US: Final = 60_000_000
"""A trade this much later than the highest id, under a lower id: the venue restarted its ids."""
MOST_HOLES: Final = 100


class Hole(NamedTuple):
    """Unseen ids between two seen ones, with the times of those two; `detected_s`: since when."""

    first: int
    last: int
    from_us: int
    to_us: int
    detected_s: float


@dataclass(slots=True)
class Missing:
    """A gap: a hole that lasted.

    `left`: the ids still missing, ascending. `absent`: ids for which the exchange lists no trade.
    `retry_at_s`, `pause_s`: time of the next attempt, and the pause after it.
    """

    symbol: str
    hole: Hole
    left: list[tuple[int, int]]
    absent: int = 0
    retry_at_s: float = 0.0
    pause_s: float = 1.0

    @property
    def neighbours(self) -> tuple[Trade, Trade]:
        """Its first and last id, with the times of the surrounding trades."""
        hole = self.hole
        return (
            Trade(self.symbol, hole.first, hole.from_us),
            Trade(self.symbol, hole.last, hole.to_us),
        )


@dataclass(slots=True)
class SymbolIds:
    """One symbol's ids. A hole becomes a gap when it lasts: two connections overlap.

    `low`: the first id that arrived or should have, with its time. `high`: the highest existing id.
    `filled`: number of filled gaps. `former`: the highest id before the venue restarted its ids;
    late trades of that count, by a second connection, are ignored.
    """

    symbol: str
    low: Trade | None = None
    high: Trade | None = None
    holes: list[Hole] = field(default_factory=list)
    gaps: list[Missing] = field(default_factory=list)
    filled: int = 0
    previous: Trade | None = None
    joined: ClassVar[int] = 1
    """Holes this close to each other are one."""

    def see(self, trade: Trade, now_s: float) -> None:
        """Add a received trade."""
        high = self.high
        if high is None or self._is_restart(trade, high):
            self.low, self.high, self.previous = trade, trade, high
            return
        if self._is_previous(trade):
            return
        if trade.id > high.id:
            if trade.id > high.id + 1:
                self._open(high.id + 1, trade.id - 1, high.time_us, trade.time_us, now_s)
            self.high = trade
        else:
            self.fill(trade.id, trade.id)
            if self.low is not None and trade.id < self.low.id:
                # An older one: the range between is unknown and was never promised.
                self.low = trade if trade.id == self.low.id - 1 else self.low

    def exists(self, trade: Trade, now_s: float) -> None:
        """Note an existing trade that has not arrived (yet)."""
        high = self.high
        if high is None or self._is_restart(trade, high):
            self.low, self.high, self.previous = trade._replace(id=trade.id + 1), trade, high
        elif trade.id > high.id and not self._is_previous(trade):
            self._open(high.id + 1, trade.id, high.time_us, trade.time_us, now_s)
            self.high = trade

    def resume(self, before: Trade, now_s: float) -> None:
        """Note the last trade of the previous run; everything since is missing."""
        if self.high is None or self.low is None:
            self.low = self.high = before
        elif before.id < self.low.id:
            if before.id + 1 < self.low.id:
                missing = (before.id + 1, self.low.id - 1, before.time_us, self.low.time_us)
                self._open(*missing, now_s)
            self.low = before

    def forget(self, first: int, last: int, now_s: float) -> None:
        """Unmark seen trades that were dropped on their way."""
        if self.high is None:
            return
        self._open(first, last, self._before_us(first), self.high.time_us, now_s)

    def connected(self) -> None:
        """Note a new connection: the ids themselves show what it missed."""

    def settle(self, missing: Missing, first: int, reaches: int) -> list[tuple[int, int]]:
        """Remove what was listed up to `reaches`; return the ids without a trade."""
        absent = [(a, min(b, reaches)) for a, b in missing.left if first <= a <= reaches]
        for a, b in absent:
            missing.absent += b - a + 1
            self.fill(a, b)
        return absent

    def count(self, missing: Missing) -> int:
        """Return the number of missing trades."""
        return sum(b - a + 1 for a, b in missing.left)

    def fill(self, first: int, last: int) -> None:
        """Remove ids from every hole and gap."""
        if self.holes:
            self.holes = [part for hole in self.holes for part in _without(hole, first, last)]
        for gap in self.gaps:
            gap.left = [part for a, b in gap.left for part in _difference(a, b, first, last)]

    def lasting(self, now_s: float, grace_s: float) -> list[Missing]:
        """Turn the holes that have lasted into gaps; return them."""
        if not self.holes:
            return []
        expired = [hole for hole in self.holes if now_s - hole.detected_s >= grace_s]
        self.holes = [hole for hole in self.holes if now_s - hole.detected_s < grace_s]
        new_gaps = [Missing(self.symbol, hole, [(hole.first, hole.last)]) for hole in expired]
        self.gaps += new_gaps
        return new_gaps

    def closed(self) -> list[Missing]:
        """Remove gaps with nothing left; return them."""
        done = [gap for gap in self.gaps if not gap.left]
        if done:
            self.gaps = [gap for gap in self.gaps if gap.left]
            self.filled += len(done)
        return done

    def certain(self) -> Trade | None:
        """Return the trade up to which everything was seen, or is in a gap."""
        if self.high is None or not self.holes:
            return self.high
        first = min(self.holes)
        return Trade(self.symbol, first.first - 1, first.from_us)

    def _open(self, first: int, last: int, from_us: int, to_us: int, now_s: float) -> None:
        """Add a hole; those that touch are one, and so are all if there are too many."""
        joined = self.joined if len(self.holes) < MOST_HOLES else math.inf
        new = Hole(first, last, min(from_us, to_us), max(from_us, to_us), now_s)
        apart = list[Hole]()
        for hole in self.holes:
            if first - joined <= hole.last and last + joined >= hole.first:
                new = Hole(
                    min(hole.first, new.first),
                    max(hole.last, new.last),
                    min(hole.from_us, new.from_us),
                    max(hole.to_us, new.to_us),
                    min(hole.detected_s, new.detected_s),
                )
            else:
                apart.append(hole)
        self.holes = [*apart, new]

    def _before_us(self, first: int) -> int:
        times_us = [hole.from_us for hole in self.holes if hole.first <= first]
        if times_us:
            return max(times_us)
        return 0 if self.low is None else self.low.time_us

    def _is_previous(self, trade: Trade) -> bool:
        high, previous = self.high, self.previous
        if high is None or previous is None:
            return False
        if trade.id > high.id and self._is_restart(high, trade):
            return True  # the exchange named a trade of the new ids before it arrived
        return trade.id <= previous.id and trade.time_us <= previous.time_us

    def _is_restart(self, trade: Trade, high: Trade) -> bool:
        return trade.id < high.id and trade.time_us > high.time_us + RESTARTED_US


def _without(hole: Hole, first: int, last: int) -> Iterator[Hole]:
    for a, b in _difference(hole.first, hole.last, first, last):
        yield hole._replace(first=a, last=b)


def _difference(a: int, b: int, first: int, last: int) -> Iterator[tuple[int, int]]:
    """Yield the parts of [a, b] outside [first, last]."""
    if last < a or first > b:
        yield a, b
        return
    if a < first:
        yield a, first - 1
    if b > last:
        yield last + 1, b
