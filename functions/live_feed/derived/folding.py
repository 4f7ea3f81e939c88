"""A growing longer candle: the fold of the closed candles of its interval and base candles."""

from __future__ import annotations

import math
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import reduce
from typing import Final

from shared.candles.roll_up import joined
from shared.market.resolution import covered
from shared.market.timeframes import Timeframe
from shared.wire.candle import Candle

_BASE_CANDLES: Final = 64
_NEVER: Final = -(2**63)
_SETTLED_AT_ONCE: Final = 4
_UNSETTLED: Final = 500
_EXPECTED: Final = 8

Read = Callable[[Timeframe, int, int | None], Awaitable[list[Candle]]]
"""Candles with starts in [from_us, to_us), ascending; None: up to the newest."""


@dataclass(frozen=True, slots=True)
class _Unsettled:
    """A longer candle that was not returned closed.

    `revision`: the least of its next state. `parts`: newest states of its parts, of which storage
    has to have the highest; it leaves out those that have lost their trades. `tries`: reads in
    vain, the last of them at `tried_us`.
    """

    revision: int = 0
    parts: Mapping[int, Candle] = field(default_factory=dict)
    tries: int = 0
    tried_us: int = 0

    @property
    def withdrawn(self) -> list[Candle]:
        """Parts that have lost their trades, ascending."""
        return [
            self.parts[start] for start in sorted(self.parts) if not self.parts[start].trade_count
        ]

    def before(self, before_us: int) -> dict[int, Candle]:
        """Return the parts before a time."""
        return {start_us: each for start_us, each in self.parts.items() if start_us < before_us}

    def least(self, before_us: int) -> int:
        """Return the revision that storage has to have of parts before a time; 0: none traded."""
        traded = (each for each in self.parts.values() if each.trade_count)
        return max((each.revision for each in traded if each.start_us < before_us), default=0)

    def due_us(self, now_us: int) -> int:
        """Return when to read it again: after a pause that grows to a minute; after a jump, now."""
        pause_us = (1 << min(self.tries, 10) >> 4) * 1_000_000
        return now_us + pause_us - min(pause_us, abs(now_us - self.tried_us))

    def noted(self, part: Candle) -> _Unsettled:
        known = self.parts.get(part.start_us)
        if known is not None and known.revision >= part.revision:
            return self
        parts = {**self.parts, part.start_us: part}
        if len(parts) > _EXPECTED:
            traded = [start for start, each in parts.items() if each.trade_count]
            if len(traded) > _EXPECTED:
                del parts[min(traded, key=lambda start: parts[start].revision)]
        # Of one step all parts have one revision, and each changes the longer candle.
        return _Unsettled(max(self.revision + 1, part.revision), parts)


class Folding:
    """One timeframe of one instrument. Accepts states of its base candles in any order."""

    def __init__(self, timeframe: Timeframe) -> None:
        self._timeframe = timeframe
        self._start_us = self._from_us = _NEVER
        self._closed: Candle | None = None
        self._base: dict[int, Candle] = {}
        self._is_partial = False
        self._unsettled: dict[int, _Unsettled] = {}
        self.is_whole = False
        """Whether the interval is known from its start; until then `take` returns nothing."""

    async def seed(self, ladder: tuple[Timeframe, ...], newest_us: int, read: Read) -> None:
        """Load the interval of the newest base candle from stored and live candles.

        It is whole once storage has every part that was taken: a correction is shown before that.
        """
        frame, day = self._timeframe, self._timeframe.day or self._timeframe
        start_us, pos = frame.start_us(newest_us), day.start_us(newest_us)
        pieces = [(day, start_us, pos)] if start_us < pos else []
        pieces += covered(ladder, pos, min(newest_us, day.end_us(pos)))
        pos = pieces[-1][2] if pieces else pos
        parts = self._noted(start_us).before(pos)
        is_stored = await self._has(parts, read)  # asked first, so that the fold has them
        closed = [each for piece in pieces for each in await read(*piece)]
        own = await read(frame, start_us, start_us + 1_000)
        base = await read(ladder[0], pos, None)
        if self._start_us > start_us:
            return  # the next interval began, perhaps before its first candle that came here
        self._start_us, self._from_us = start_us, pos
        self._closed = reduce(joined, map(self._piece, closed)) if closed else None
        noted = self._noted(start_us)
        is_stored = is_stored and noted.before(pos) == parts
        self.is_whole = is_stored and self._known >= noted.least(pos)
        self._is_partial = any(candle.partial for candle in own)
        for candle in own:
            if not candle.closed:
                revision = max(noted.revision, candle.revision)
                self._unsettled[start_us] = replace(noted, revision=revision)
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
        self._note(start_us, candle)
        if start_us < self._start_us:
            return None
        if start_us > self._start_us:
            self.is_whole = self._from_us > _NEVER  # else there may be earlier candles
            self._from_us = start_us if self.is_whole else _NEVER
            self._start_us, self._closed, self._base = start_us, None, {}
            self._is_partial = False
        self._keep(candle)
        present = self.present(now_us)
        if present is not None and present.closed:
            del self._unsettled[start_us]
        return present

    async def settled(self, now_us: int, read: Read) -> AsyncGenerator[Candle, None]:
        """Yield candles that are over, or changed since, as stored: `take` knows only the newest.

        Each has a higher revision than what `take` returned of it; one without trades is withdrawn.
        The least tried come first, the newest among them. `take` may be called meanwhile.
        """
        over = [each for each in self._unsettled if self._due_us(each, now_us) <= now_us]
        over.sort(key=lambda each: (self._unsettled[each].tries, -each))
        for start_us in sorted(over[:_SETTLED_AT_ONCE]):
            noted = self._unsettled.get(start_us)
            if noted is None:
                continue
            tried = replace(noted, tries=noted.tries + 1, tried_us=now_us)
            self._unsettled[start_us] = tried
            candle = await self._stored(start_us, noted, read)
            if candle is not None and self._unsettled.get(start_us) is tried:
                del self._unsettled[start_us]
                yield candle

    def due_s(self, now_us: int) -> float:
        """Return in how many seconds it is to be seeded, or has candles to settle."""
        if not self.is_whole:
            return 0.0
        due_us = [self._due_us(each, now_us) for each in self._unsettled]
        return (min(due_us) - now_us) / 1e6 if due_us else math.inf

    def _due_us(self, start_us: int, now_us: int) -> int:
        return max(self._timeframe.end_us(start_us), self._unsettled[start_us].due_us(now_us))

    async def _stored(self, start_us: int, noted: _Unsettled, read: Read) -> Candle | None:
        """Return the candle if storage has all that was noted of it."""
        withdrawn, least = noted.withdrawn, noted.least(self._timeframe.end_us(start_us))
        if not await self._has(noted.parts, read):
            return None
        stored = await read(self._timeframe, start_us, start_us + 1_000)
        if not stored and withdrawn and not least:
            empty = max(withdrawn, key=lambda each: each.revision)
            whole = replace(empty, timeframe=self._timeframe.name, start_us=start_us)
            stored = [replace(whole, closed=True)]
        for candle in stored:
            if candle.closed and candle.revision >= least:
                return replace(candle, revision=max(candle.revision, noted.revision) + 1)
        return None

    async def _has(self, parts: Mapping[int, Candle], read: Read) -> bool:
        """Tell whether storage has these parts; of withdrawn ones no earlier revision."""
        if not parts:
            return True
        base = Timeframe.parse(next(iter(parts.values())).timeframe)
        stored = await read(base, min(parts), max(parts) + 1_000)
        revisions = {each.start_us: each.revision for each in stored}
        return all(
            revisions.get(each.start_us, 0 if each.trade_count else each.revision) >= each.revision
            for each in parts.values()
        )

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
        revision = max(whole.revision, self._noted(self._start_us).revision)  # withdrawn ones, too
        return replace(whole, closed=whole.closed and over, partial=partial, revision=revision)

    def _noted(self, start_us: int) -> _Unsettled:
        return self._unsettled.get(start_us, _Unsettled())

    @property
    def _known(self) -> int:
        """Revision of what is folded."""
        return self._closed.revision if self._closed is not None else 0

    def _note(self, start_us: int, candle: Candle) -> None:
        self._unsettled[start_us] = self._noted(start_us).noted(candle)
        if len(self._unsettled) > _UNSETTLED:
            del self._unsettled[min(self._unsettled)]

    def _keep(self, candle: Candle) -> None:
        end_us = self._timeframe.end_us(self._start_us)
        if not (
            self._start_us <= candle.start_us < end_us and self._timeframe.holds(candle.start_us)
        ):
            return
        if candle.start_us < self._from_us:
            self.is_whole = self.is_whole and candle.revision <= self._known
            return
        current = self._base.get(candle.start_us)
        if current is None or candle.revision > current.revision:
            self._base[candle.start_us] = candle

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
