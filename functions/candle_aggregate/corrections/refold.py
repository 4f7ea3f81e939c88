"""Longer candles folded again from base candles: stored ones, recomputed ones and live ones."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from psycopg import Connection

from functions.candle_aggregate.corrections.cancelled import live_closed, withdrawn
from functions.candle_aggregate.rules import Rules
from functions.candle_aggregate.session import Session
from shared.candles.folds import Places, flagged, merged, nothing, rolled_up, together
from shared.errors import TransientError
from shared.lake.cold import Cold
from shared.market.blocks import CLOSED, INCOMPLETE, Records
from shared.market.timeframes import Timeframe
from shared.reading.stored_candles import folded, stored_candles
from shared.realtime.keys import Block
from shared.stores.first_ticks import beginnings
from shared.wire.candle import Candle
from shared.wire.candle_columns import CandleColumns


class Interval(NamedTuple):
    """A candle of a longer timeframe."""

    instrument: str
    timeframe: str
    start_us: int


@dataclass(frozen=True, slots=True)
class View:
    """Live state of some instruments, as of one step of one lineage.

    `base`: (instrument, start_us) of the live base candles -> its revision; 0 of an open one.
    `limit_us`: by instrument, the time up to which all of its candles are closed.
    """

    lineage: str
    evictions: int
    base: Mapping[tuple[str, int], int]
    limit_us: Mapping[str, int]


def look(session: Session, rules: Rules, names: Sequence[str]) -> View:
    """Return what is live of some instruments."""
    base: dict[tuple[str, int], int] = {}
    for start_us, found, records in live_base(session, rules, names):
        revisions = np.where(records.has(CLOSED), records.data["revision"], 0).tolist()
        base |= {(name, start_us): each for name, each in zip(found, revisions, strict=True)}
    known, rows = session.instruments(names)
    limits = dict(zip(known, rows["limit_us"].tolist(), strict=True))
    return View(session.lease.lineage, session.lease.evictions, base, limits)


def live_base(
    session: Session, rules: Rules, names: Sequence[str]
) -> Iterable[tuple[int, Sequence[str], Records]]:
    """Yield each live base block: its start (us), the instruments that it has, their records."""
    blocks = [block for block in session.blocks() if block.timeframe == rules.base.name]
    for block, (found, records) in zip(blocks, session.read_each(blocks, names), strict=True):
        if found:
            yield block.start_us, found, records


@dataclass(slots=True)
class Published:
    """Candles that are not live and were published under one revision."""

    revision_us: int
    keys: set[tuple[str, str, int]] = field(default_factory=set)

    def of(self, instrument: str, start_us: int, ladder: Sequence[Timeframe]) -> list[str]:
        """Return the timeframes of which the candle that holds a start was published."""
        return [
            each.name
            for each in ladder
            if (instrument, each.name, each.start_us(start_us)) in self.keys
        ]


class Refold:
    """Folds intervals of some instruments of a shard again.

    `prepare` reads what is stored, without the lease; `apply` joins it with what is live and
    writes, in one step. `names`: the instruments by number; `first_us`: where their candles begin.
    """

    def __init__(
        self,
        connection: Connection,
        rules: Rules,
        view: View,
        names: Sequence[str],
        cold: Cold,
    ) -> None:
        self._connection, self._rules, self._view, self._cold = connection, rules, view, cold
        self._names, self.first_us = names, beginnings(connection, names)
        self._numbers = {name: number for number, name in enumerate(names)}
        self._parts: dict[str, Places] = {}
        self._stored: dict[str, list[Candle]] = {}
        self._wanted: dict[str, set[tuple[int, int]]] = {}
        self._base, self._busts = nothing(), frozenset[tuple[str, int]]()

    def prepare(
        self,
        intervals: Iterable[Interval],
        base: Places,
        busts: Set[tuple[str, int]] = frozenset(),
    ) -> None:
        """Fold what is stored of each interval with `base`, which was recomputed and counts first.

        `busts`: base candles that lost or changed a trade; one that is not in `base` has none left.
        Raises TransientError.
        """
        self._base, self._busts = base, frozenset(busts)
        for interval in intervals:
            key = (self._numbers[interval.instrument], interval.start_us)
            self._wanted.setdefault(interval.timeframe, set()).add(key)
        self._read(set())

    def _read(self, begun: set[tuple[str, int]]) -> None:
        """Fold what is stored of the wanted intervals; what has `begun` to be live counts there."""
        base = self._base
        without = sorted({*self._keys(base), *self._busts, *self._view.base, *begun})
        shortest = self._rules.base.name
        for name, wanted in self._wanted.items():
            timeframe = self._rules.timeframe(name)
            names = [self._names[number] for number, _ in sorted(wanted)]
            starts = [start_us for _, start_us in sorted(wanted)]
            ends = [timeframe.next_us(start_us) for start_us in starts]
            part = folded(
                self._connection, shortest, names, starts, ends, without=without, cold=self._cold
            )
            numbers = np.array([self._numbers[each] for each in names], dtype=np.int64)
            part = Places(numbers[part.instrument], part.start_us, part.records)
            self._parts[name] = together([part, self._asked(name, rolled_up(base, timeframe))])
            stored = stored_candles(self._connection, name, names, starts, self._cold)
            self._stored[name] = list(stored.candles())

    def apply(
        self,
        session: Session,
        base: Places,
        asked: set[tuple[str, str, int]],
        now_us: int,
        busts: Set[tuple[str, int]] = frozenset(),
    ) -> Published:
        """Put live folds; publish `base`, and the folds that are not live and differ from stored.

        `busts`: those of `prepare` that are settled now. The session is committed by its owner.
        Raises TransientError when the live state is no longer as it was looked at.
        """
        view, lease = self._view, session.lease
        if (lease.lineage, lease.evictions) != (view.lineage, view.evictions):
            raise TransientError("the live state has moved on meanwhile")
        out = {self._rules.base.name: base}
        live = self._live_closed(session)
        begun = {*self._keys(live)} - view.base.keys()
        if any(self._is_wanted(*place) for place in begun):
            # Closed since it was looked at, so it may have been stored before storage was read.
            if begun.intersection(self._keys(self._base)):
                raise TransientError("what was recomputed has become live meanwhile")
            self._read(begun)
        for name, part in self._parts.items():
            timeframe = self._rules.timeframe(name)
            whole = merged(together([part, self._asked(name, rolled_up(live, timeframe))]))
            flagged(whole, timeframe, self.first_us[whole.instrument])
            rest = self._put(session, timeframe, whole, asked)
            rest.records.data["flags"] |= CLOSED
            mine = list(rest.columns(name, self._names).candles())
            changed = rest.at(differing(mine, self._stored[name], rest, asked))
            out[name] = together([changed, self._withdrawn(session, timeframe, whole, busts)])
        before = [int(some.records.data["revision"].max()) for some in out.values() if len(some)]
        published = Published(max([now_us, *(revision + 1 for revision in before)]))
        for name, some in out.items():
            if len(some):
                some.records.data["revision"] = published.revision_us
                columns = some.columns(name, self._names)
                session.publish(columns)
                starts = columns.start_us.tolist()
                published.keys |= {(n, name, s) for n, s in zip(columns.names, starts, strict=True)}
        return published

    def _withdrawn(
        self, session: Session, timeframe: Timeframe, whole: Places, busts: Set[tuple[str, int]]
    ) -> Places:
        """Let a longer candle go when the last of its base candles lost all of its trades."""
        named = zip(whole.instrument.tolist(), whole.start_us.tolist(), strict=True)
        folded_ = {(self._names[number], start_us) for number, start_us in named}
        of_open = {
            (name, timeframe.start_us(start_us))
            for (name, start_us), revision_us in self._view.base.items()
            if not revision_us
        }
        gone = {(name, timeframe.start_us(start_us)) for name, start_us in busts}
        gone -= folded_ | of_open
        known = [*live_closed(session, timeframe.name, gone)]
        known += [
            candle
            for candle in self._stored.get(timeframe.name, ())
            if (candle.instrument, candle.start_us) in gone
        ]
        for name, start_us in sorted(gone):
            block = Block(timeframe.name, start_us)
            present, live = session.read(block, [name])
            if present:
                void = Records.empty(1)
                void.data["flags"] = live.data["flags"] & CLOSED
                session.put(block, [name], void)
        return withdrawn(self._connection, timeframe.name, gone, known, self._names)

    def _keys(self, places: Places) -> Iterator[tuple[str, int]]:
        numbers, starts = places.instrument.tolist(), places.start_us.tolist()
        return zip((self._names[number] for number in numbers), starts, strict=True)

    def _is_wanted(self, name: str, start_us: int) -> bool:
        """Tell whether a base candle lies in a wanted interval."""
        return any(
            (self._numbers[name], self._rules.timeframe(timeframe).start_us(start_us)) in wanted
            for timeframe, wanted in self._wanted.items()
        )

    def _asked(self, timeframe: str, places: Places) -> Places:
        keys = zip(places.instrument.tolist(), places.start_us.tolist(), strict=True)
        wanted = self._wanted[timeframe]
        return places.at(np.array([key in wanted for key in keys], dtype=bool))

    def _live_closed(self, session: Session) -> Places:
        parts = [nothing()]
        for start_us, found, records in live_base(session, self._rules, self._names):
            numbers = np.array([self._numbers[name] for name in found], dtype=np.int64)
            starts = np.full(len(found), start_us, dtype=np.int64)
            parts.append(Places(numbers, starts, records).at(records.has(CLOSED)))
        return together(parts)

    def _put(
        self,
        session: Session,
        timeframe: Timeframe,
        whole: Places,
        asked: set[tuple[str, str, int]],
    ) -> Places:
        """Put the folds that are live, or are to be; return the closed ones that are not."""
        not_live = np.ones(len(whole), dtype=bool)
        for start_us in np.unique(whole.start_us).tolist():
            rows = np.flatnonzero(whole.start_us == start_us)
            names = [self._names[number] for number in whole.instrument[rows].tolist()]
            block = Block(timeframe.name, start_us)
            present, before = session.read(block, names)
            known = {name: row for row, name in enumerate(present)}
            end_us = timeframe.next_us(start_us)
            kept: list[int] = []
            for name, row in zip(names, rows.tolist(), strict=True):
                is_open = end_us > self._view.limit_us.get(name, end_us)
                if name not in known and not is_open:
                    continue
                not_live[row] = False
                if name in known:
                    flags = int(before.data["flags"][known[name]])
                    whole.records.data["flags"][row] |= flags & CLOSED
                    is_asked = (name, timeframe.name, start_us) in asked
                    if not is_asked and equal(whole.records, row, before, known[name]):
                        continue
                kept.append(row)
            if kept:
                some = whole.at(np.array(kept, dtype=np.intp))
                named = [self._names[number] for number in some.instrument.tolist()]
                stored = {
                    (c.instrument, c.start_us): c.revision for c in self._stored[timeframe.name]
                }
                above = np.array([stored.get((n, start_us), 0) for n in named], dtype=np.int64)
                session.put(block, named, some.records, above=above)
        return whole.at(not_live)


def differing(
    mine: Sequence[Candle],
    stored: Sequence[Candle],
    places: Places,
    asked: set[tuple[str, str, int]],
) -> NDArray[np.bool_]:
    """Tell which candles differ from the stored ones, or are asked for.

    Writes the stored revisions into the records of `places`, whose rows are `mine`.
    """
    known = {(each.instrument, each.start_us): each for each in stored}
    differs = np.ones(len(mine), dtype=bool)
    for n, candle in enumerate(mine):
        before = known.get((candle.instrument, candle.start_us))
        if before is not None:
            places.records.data["revision"][n] = before.revision
            is_asked = (candle.instrument, candle.timeframe, candle.start_us) in asked
            differs[n] = is_asked or not same(candle, before)
    return differs


def same(a: Candle, b: Candle) -> bool:
    """Tell whether two candles say the same, whatever their revisions."""
    names = Candle.__dataclass_fields__.keys() - {"closed", "revision"}
    return all(getattr(a, name) == getattr(b, name) for name in names)


def equal(a: Records, row: int, b: Records, other: int) -> bool:
    """Tell whether two records make the same candle with the same flags."""
    rows = (a.at(np.array([row])), b.at(np.array([other])))
    mine, theirs = (
        next(CandleColumns("", [""], np.zeros(1, dtype=np.int64), some).candles()) for some in rows
    )
    flags = int(a.data["flags"][row]) ^ int(b.data["flags"][other])
    return same(mine, theirs) and not flags & (CLOSED | INCOMPLETE)
