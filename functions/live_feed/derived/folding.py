"""A growing longer candle: the fold of the closed candles of its interval and base candles."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import reduce
from typing import Final

from shared.candles.roll_up import joined
from shared.market.resolution import covered
from shared.market.timeframes import Timeframe
from shared.wire.candle import Candle

_BASE_CANDLES: Final = 64
_NEVER: Final = -(2**63)
_SETTLED_AT_ONCE: Final = 20
_UNSETTLED: Final = 500

Read = Callable[[Timeframe, int, int | None], Awaitable[list[Candle]]]
"""Candles with starts in [from_us, to_us), ascending; None: up to the newest."""


class Folding:
    """One timeframe of one instrument. Accepts states of its base candles in any order."""

    def __init__(self, timeframe: Timeframe) -> None:
        self._timeframe = timeframe
        self._start_us = _NEVER
        self._from_us = 0
        self._closed: Candle | None = None
        self._base: dict[int, Candle] = {}
        self._is_partial = False
        self._unsettled: dict[int, int] = {}
        """Starts of the longer candles that were not returned closed, with their revisions."""
        self.is_whole = False
        """Whether the interval is known from its start; until then `take` returns nothing."""

    async def seed(self, ladder: tuple[Timeframe, ...], newest_us: int, read: Read) -> None:
        """Load the interval of the newest base candle from stored and live candles."""
        frame, day = self._timeframe, self._timeframe.day or self._timeframe
        start_us, pos = frame.start_us(newest_us), day.start_us(newest_us)
        until_us = min(newest_us, day.end_us(pos))
        closed: list[Candle] = []
        if start_us < pos:
            closed += await read(day, start_us, pos)
        for part, from_us, to_us in covered(ladder, pos, until_us):
            closed += await read(part, from_us, to_us)
            pos = to_us
        own = await read(frame, start_us, start_us + 1_000)
        base = await read(ladder[0], pos, None)
        if self._start_us > start_us:
            self.is_whole = True  # the interval started meanwhile
            return
        self._start_us, self._from_us, self.is_whole = start_us, pos, True
        self._closed = reduce(joined, map(self._piece, closed)) if closed else None
        self._is_partial = any(candle.partial for candle in own)
        for candle in own:
            if not candle.closed:
                self._note(start_us, candle.revision)
        arrived, self._base = self._base, {}
        for candle in [*base, *arrived.values()]:
            self._keep(candle)

    def take(self, candle: Candle, now_us: int) -> Candle | None:
        """Take a state of a base candle; return the longer one, or None if nothing is known.

        After a change of a candle closed earlier, `is_whole` is False until the next seed.
        """
        start_us = self._timeframe.start_us(candle.start_us)
        if not self._timeframe.holds(candle.start_us):
            return None
        self._note(start_us, candle.revision)
        if start_us < self._start_us:
            return None
        if start_us > self._start_us:
            began_before = self._start_us > _NEVER
            self._start_us = self._from_us = start_us
            self._closed, self._base, self.is_whole = None, {}, began_before
            self._is_partial = False
        self._keep(candle)
        present = self.present(now_us)
        if present is not None:
            self._note(start_us, present.revision)
            if present.closed:
                del self._unsettled[start_us]
        return present

    async def settled(self, now_us: int, read: Read) -> list[Candle]:
        """Return candles that are over, or changed since, as stored: `take` knows only the newest.

        Each has a higher revision than what `take` returned of it.
        """
        result = []
        over = [each for each in sorted(self._unsettled) if self._timeframe.end_us(each) <= now_us]
        for start_us in over[-_SETTLED_AT_ONCE:]:
            revision = self._unsettled[start_us]
            stored = await read(self._timeframe, start_us, start_us + 1_000)
            is_known = all(each.closed and each.revision >= revision for each in stored)
            if is_known and self._unsettled.get(start_us) == revision:
                del self._unsettled[start_us]
                result += [replace(each, revision=each.revision + 1) for each in stored]
        return result

    def present(self, now_us: int) -> Candle | None:
        """Return the longer candle; closed once all its parts are and its time has passed."""
        if not self.is_whole:
            return None
        parts = [self._base[start] for start in sorted(self._base)]
        parts = [part for part in parts if part.trade_count]
        whole = reduce(joined, map(self._piece, parts)) if parts else None
        if self._closed is not None:
            whole = self._closed if whole is None else joined(self._closed, whole)
        if whole is None:
            return None
        over = self._timeframe.end_us(self._start_us) <= now_us
        self._compact()
        partial = whole.partial or self._is_partial  # the first tick may begin a whole part
        return replace(whole, closed=whole.closed and over, partial=partial)

    def _note(self, start_us: int, revision: int) -> None:
        self._unsettled[start_us] = max(revision, self._unsettled.get(start_us, revision))
        if len(self._unsettled) > _UNSETTLED:
            del self._unsettled[min(self._unsettled)]

    def _keep(self, candle: Candle) -> None:
        end_us = self._timeframe.end_us(self._start_us)
        if not (
            self._start_us <= candle.start_us < end_us and self._timeframe.holds(candle.start_us)
        ):
            return
        if candle.start_us < self._from_us:
            self.is_whole = self.is_whole and candle.revision <= self._revision
            return
        current = self._base.get(candle.start_us)
        if current is None or candle.revision > current.revision:
            self._base[candle.start_us] = candle

    @property
    def _revision(self) -> int:
        return self._closed.revision if self._closed is not None else 0

    def _piece(self, candle: Candle) -> Candle:
        return replace(candle, timeframe=self._timeframe.name, start_us=self._start_us)

    def _compact(self) -> None:
        """Fold the older half of many base candles; a change to one of them needs a new seed."""
        if len(self._base) <= _BASE_CANDLES:
            return
        older = sorted(self._base)[: _BASE_CANDLES // 2]
        if not all(self._base[start].closed for start in older):
            return
        self._from_us = older[-1] + 1
        pieces = [self._piece(self._base.pop(start)) for start in older]
        pieces = [piece for piece in pieces if piece.trade_count]
        if self._closed is not None:
            pieces.insert(0, self._closed)
        self._closed = reduce(joined, pieces) if pieces else None
