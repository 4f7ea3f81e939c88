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
from shared.stores.first_ticks import NEVER_US, beginnings
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
    """Return the live state of instruments."""
    base: dict[tuple[str, int], int] = {}
    for start_us, present, records in live_base(session, rules, names):
        revisions = np.where(records.has(CLOSED), records.data["revision"], 0).tolist()
        base |= {(name, start_us): each for name, each in zip(present, revisions, strict=True)}
    known_names, rows = session.instruments(names)
    limits = dict(zip(known_names, rows["limit_us"].tolist(), strict=True))
    return View(session.lease.lineage, session.lease.evictions, base, limits)


def live_base(
    session: Session, rules: Rules, names: Sequence[str]
) -> Iterable[tuple[int, Sequence[str], Records]]:
    """Yield each live base block: its start (us), the instruments that it has, their records."""
    blocks = [block for block in session.blocks() if block.timeframe == rules.base.name]
    for block, (present, records) in zip(blocks, session.read_each(blocks, names), strict=True):
        if present:
            yield block.start_us, present, records


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
        self._requested: dict[str, set[tuple[int, int]]] = {}
        self._base, self._busts = nothing(), frozenset[tuple[str, int]]()

    def prepare(
        self,
        intervals: Iterable[Interval],
        base: Places,
        busts: Set[tuple[str, int]] = frozenset(),
    ) -> None:
        """Fold the stored part of each interval with `base`, which is recomputed and wins.

        `busts`: base candles that lost or changed a trade; one that is not in `base` has none left.
        Raises TransientError.
        """
        self._base, self._busts = base, frozenset(busts)
        for interval in intervals:
            key = (self._numbers[interval.instrument], interval.start_us)
            self._requested.setdefault(interval.timeframe, set()).add(key)
        self._read(set())

    def _read(self, started: set[tuple[str, int]]) -> None:
        """Fold what is stored of the requested intervals; `started`: base candles live by now."""
        base = self._base
        without = sorted({*self._keys(base), *self._busts, *self._view.base, *started})
        shortest = self._rules.base.name
        for name, keys in self._requested.items():
            timeframe = self._rules.timeframe(name)
            names = [self._names[number] for number, _ in sorted(keys)]
            starts = [start_us for _, start_us in sorted(keys)]
            ends = [timeframe.next_us(start_us) for start_us in starts]
            part = folded(
                self._connection, shortest, names, starts, ends, without=without, cold=self._cold
            )
            numbers = np.array([self._numbers[each] for each in names], dtype=np.int64)
            part = Places(numbers[part.instrument], part.start_us, part.records)
            self._parts[name] = together(
                [part, self._only_requested(name, rolled_up(base, timeframe))]
            )
            stored = stored_candles(self._connection, name, names, starts, self._cold)
            self._stored[name] = list(stored.candles())

    def apply(
        self,
        session: Session,
        base: Places,
        requested: set[tuple[str, str, int]],
        busts: Set[tuple[str, int]] = frozenset(),
    ) -> Published:
        """Put live folds; publish `base`, and the folds that are not live and differ from stored.

        `busts`: those of `prepare` that are settled now. The session is committed by its owner.
        Raises TransientError when the live state is no longer as it was looked at.
        """
        view, lease = self._view, session.lease
        if (lease.lineage, lease.evictions) != (view.lineage, view.evictions):
            raise TransientError("the live state has moved on meanwhile")
        self._begin_earlier(session)
        out = {self._rules.base.name: base}
        live = self._live_closed(session)
        newly_closed = {*self._keys(live)} - view.base.keys()
        if any(self._is_requested(*place) for place in newly_closed):
            # Closed since it was looked at, so it may have been stored before storage was read.
            if newly_closed.intersection(self._keys(self._base)):
                raise TransientError("what was recomputed has become live meanwhile")
            self._read(newly_closed)
        for name, part in self._parts.items():
            timeframe = self._rules.timeframe(name)
            folds = merged(together([part, self._only_requested(name, rolled_up(live, timeframe))]))
            flagged(folds, timeframe, self.first_us[folds.instrument])
            not_live = self._put(session, timeframe, folds, requested)
            not_live.records.data["flags"] |= CLOSED
            candles = list(not_live.columns(name, self._names).candles())
            changed = not_live.at(differing(candles, self._stored[name], not_live, requested))
            out[name] = together([changed, self._withdrawn(session, timeframe, folds, busts)])
        before = [
            int(places.records.data["revision"].max()) for places in out.values() if len(places)
        ]
        published = Published(max([session.revision(), *(revision + 1 for revision in before)]))
        for name, places in out.items():
            if len(places):
                places.records.data["revision"] = published.revision_us
                columns = places.columns(name, self._names)
                session.publish(columns)
                starts = columns.start_us.tolist()
                published.keys |= {(n, name, s) for n, s in zip(columns.names, starts, strict=True)}
        return published

    def _begin_earlier(self, session: Session) -> None:
        """Let candles begin at the earliest tick that is live, which may not be stored yet."""
        present, live = session.instruments(self._names)
        numbers = [self._numbers[name] for name in present]
        stored_us = self.first_us[numbers]
        earlier = (stored_us == NEVER_US) | (live["first_us"] < stored_us)
        self.first_us[numbers] = np.where(earlier, live["first_us"], stored_us)

    def _withdrawn(
        self, session: Session, timeframe: Timeframe, folds: Places, busts: Set[tuple[str, int]]
    ) -> Places:
        """Withdraw longer candles whose last base candle lost all of its trades."""
        keys = zip(folds.instrument.tolist(), folds.start_us.tolist(), strict=True)
        folded_ = {(self._names[number], start_us) for number, start_us in keys}
        of_open = {
            (name, timeframe.start_us(start_us))
            for (name, start_us), revision_us in self._view.base.items()
            if not revision_us
        }
        emptied = {(name, timeframe.start_us(start_us)) for name, start_us in busts}
        emptied -= folded_ | of_open
        published = [*live_closed(session, timeframe.name, emptied)]
        published += [
            candle
            for candle in self._stored.get(timeframe.name, ())
            if (candle.instrument, candle.start_us) in emptied
        ]
        for name, start_us in sorted(emptied):
            block = Block(timeframe.name, start_us)
            present, live = session.read(block, [name])
            if present:
                void = Records.empty(1)
                void.data["flags"] = live.data["flags"] & CLOSED
                session.put(block, [name], void)
        return withdrawn(self._connection, timeframe.name, emptied, published, self._names)

    def _keys(self, places: Places) -> Iterator[tuple[str, int]]:
        numbers, starts = places.instrument.tolist(), places.start_us.tolist()
        return zip((self._names[number] for number in numbers), starts, strict=True)

    def _is_requested(self, name: str, start_us: int) -> bool:
        """Tell whether a base candle lies in a requested interval."""
        return any(
            (self._numbers[name], self._rules.timeframe(timeframe).start_us(start_us)) in keys
            for timeframe, keys in self._requested.items()
        )

    def _only_requested(self, timeframe: str, places: Places) -> Places:
        row_keys = zip(places.instrument.tolist(), places.start_us.tolist(), strict=True)
        requested = self._requested[timeframe]
        return places.at(np.array([key in requested for key in row_keys], dtype=bool))

    def _live_closed(self, session: Session) -> Places:
        parts = [nothing()]
        for start_us, present, records in live_base(session, self._rules, self._names):
            numbers = np.array([self._numbers[name] for name in present], dtype=np.int64)
            starts = np.full(len(present), start_us, dtype=np.int64)
            parts.append(Places(numbers, starts, records).at(records.has(CLOSED)))
        return together(parts)

    def _put(
        self,
        session: Session,
        timeframe: Timeframe,
        folds: Places,
        requested: set[tuple[str, str, int]],
    ) -> Places:
        """Put the folds that are live, or are to be; return the closed ones that are not."""
        not_live = np.ones(len(folds), dtype=bool)
        for start_us in np.unique(folds.start_us).tolist():
            rows = np.flatnonzero(folds.start_us == start_us)
            names = [self._names[number] for number in folds.instrument[rows].tolist()]
            block = Block(timeframe.name, start_us)
            present, before = session.read(block, names)
            row_of = {name: row for row, name in enumerate(present)}
            end_us = timeframe.next_us(start_us)
            changed_rows: list[int] = []
            for name, row in zip(names, rows.tolist(), strict=True):
                is_open = end_us > self._view.limit_us.get(name, end_us)
                if name not in row_of and not is_open:
                    continue
                not_live[row] = False
                if name in row_of:
                    flags = int(before.data["flags"][row_of[name]])
                    folds.records.data["flags"][row] |= flags & CLOSED
                    is_requested = (name, timeframe.name, start_us) in requested
                    if not is_requested and equal(folds.records, row, before, row_of[name]):
                        continue
                changed_rows.append(row)
            if changed_rows:
                changed = folds.at(np.array(changed_rows, dtype=np.intp))
                changed_names = [self._names[number] for number in changed.instrument.tolist()]
                stored_revisions = {
                    (c.instrument, c.start_us): c.revision for c in self._stored[timeframe.name]
                }
                above = np.array(
                    [stored_revisions.get((n, start_us), 0) for n in changed_names], dtype=np.int64
                )
                session.put(block, changed_names, changed.records, above=above)
        return folds.at(not_live)


def differing(
    candles: Sequence[Candle],
    stored: Sequence[Candle],
    places: Places,
    requested: set[tuple[str, str, int]],
) -> NDArray[np.bool_]:
    """Tell which candles differ from the stored ones, or were requested.

    Writes the stored revisions into the records of `places`, whose rows are `candles`.
    """
    stored_by_key = {(each.instrument, each.start_us): each for each in stored}
    differs = np.ones(len(candles), dtype=bool)
    for n, candle in enumerate(candles):
        before = stored_by_key.get((candle.instrument, candle.start_us))
        if before is not None:
            places.records.data["revision"][n] = before.revision
            is_requested = (candle.instrument, candle.timeframe, candle.start_us) in requested
            differs[n] = is_requested or not same(candle, before)
    return differs


def same(a: Candle, b: Candle) -> bool:
    """Tell whether two candles are equal but for their revisions."""
    names = Candle.__dataclass_fields__.keys() - {"closed", "revision"}
    return all(getattr(a, name) == getattr(b, name) for name in names)


def equal(a: Records, row: int, b: Records, other_row: int) -> bool:
    """Tell whether two records make the same candle with the same flags."""
    rows = (a.at(np.array([row])), b.at(np.array([other_row])))
    mine, theirs = (
        next(CandleColumns("", [""], np.zeros(1, dtype=np.int64), pair).candles()) for pair in rows
    )
    flags = int(a.data["flags"][row]) ^ int(b.data["flags"][other_row])
    return same(mine, theirs) and not flags & (CLOSED | INCOMPLETE)
