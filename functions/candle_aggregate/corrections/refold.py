"""Longer candles folded again from base candles: stored ones, recomputed ones and live ones."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray
from psycopg import Connection

from functions.candle_aggregate.corrections.cancelled import live_closed, withdrawn
from functions.candle_aggregate.job_context import JobContext
from functions.candle_aggregate.session import Session
from shared.candles.folds import KeyedRecords, flagged, merged, rolled_up
from shared.errors import TransientError
from shared.market.blocks import CLOSED, Records
from shared.market.timeframes import Timeframe
from shared.reading.stored_candles import Ranges, folded, stored_candles
from shared.realtime.keys import Block
from shared.stores.first_ticks import NEVER_US, beginnings
from shared.wire.candle import Candle, CandleKey
from shared.wire.candle_columns import CandleColumns


@dataclass(frozen=True, slots=True)
class LiveView:
    """Live state of some instruments, as of one step of one lineage.

    `base`: (instrument, start_us) of the live base candles -> its revision; 0 of an open one.
    `limit_us`: by instrument, the time up to which all of its candles are closed.
    """

    life: tuple[str, int]
    base: Mapping[tuple[str, int], int]
    limit_us: Mapping[str, int]

    def first_start_us(self, default_us: int) -> int:
        """Return where the first live base candle begins, if that is before a time, or else it."""
        return min([default_us, *(start_us for _, start_us in self.base)])


def view_live(session: Session, names: Sequence[str]) -> LiveView:
    """Return the live state of instruments."""
    base: dict[tuple[str, int], int] = {}
    for start_us, present, records in live_base(session, names):
        revisions = np.where(records.has(CLOSED), records.data["revision"], 0).tolist()
        base |= {(name, start_us): each for name, each in zip(present, revisions, strict=True)}
    known_names, rows = session.instruments(names)
    limits = dict(zip(known_names, rows["limit_us"].tolist(), strict=True))
    return LiveView(session.lease.life, base, limits)


def live_base(
    session: Session, names: Sequence[str]
) -> Iterable[tuple[int, Sequence[str], Records]]:
    """Yield each live base block: its start (us), the instruments that it has, their records."""
    blocks = [block for block in session.blocks() if block.timeframe == session.rules.base.name]
    for block, (present, records) in zip(blocks, session.read_each(blocks, names), strict=True):
        if present:
            yield block.start_us, present, records


def live_candles(session: Session, names: Sequence[str]) -> KeyedRecords:
    """Return the live base candles of instruments, which are numbered as in `names`."""
    parts, number_of = [], {name: number for number, name in enumerate(names)}
    for start_us, present, records in live_base(session, names):
        numbers = np.array([number_of[name] for name in present], dtype=np.int64)
        parts.append(KeyedRecords(numbers, np.full(len(present), start_us), records))
    return KeyedRecords.of(parts)


@dataclass(slots=True)
class Published:
    """Candles that are not live and were published under one revision."""

    revision_us: int
    keys: set[CandleKey] = field(default_factory=set)

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
        self, context: JobContext, connection: Connection, view: LiveView, names: Sequence[str]
    ) -> None:
        self._connection, self._rules, self._cold = connection, context.rules, context.cold
        self._view, self._names = view, names
        self.first_us = beginnings(connection, names)
        self._numbers = {name: number for number, name in enumerate(names)}
        self._parts: dict[str, KeyedRecords] = {}
        self._stored: dict[str, list[Candle]] = {}
        self._requested: dict[str, set[tuple[str, int]]] = {}
        self._base, self._busts = KeyedRecords.of([]), frozenset[tuple[str, int]]()

    def prepare(
        self,
        intervals: Iterable[CandleKey],
        base: KeyedRecords | None = None,
        busts: Set[tuple[str, int]] = frozenset(),
    ) -> None:
        """Fold the stored part of each interval with `base`, which is recomputed and wins.

        `busts`: base candles that lost or changed a trade; one that is not in `base` has none left.
        Raises TransientError.
        """
        self._base, self._busts = self._base if base is None else base, frozenset(busts)
        for name, timeframe, start_us in intervals:
            self._requested.setdefault(timeframe, set()).add((name, start_us))
        self._read(set())

    def _read(self, started: Set[tuple[str, int]]) -> None:
        """Fold what is stored of the requested intervals; `started`: base candles live by now."""
        base = self._base
        without = sorted({*base.keys(self._names), *self._busts, *self._view.base, *started})
        for name, keys in self._requested.items():
            timeframe = self._rules.timeframe(name)
            names, starts = map(list, zip(*sorted(keys), strict=True))
            ends = [timeframe.next_us(start_us) for start_us in starts]
            ranges = Ranges(self._rules.base.name, names, starts, ends)
            numbers = np.array([self._numbers[each] for each in names], dtype=np.int64)
            part = folded(self._connection, ranges, without, self._cold).numbered(numbers)
            self._parts[name] = KeyedRecords.of([part, self._rolled_up(base, timeframe)])
            stored = stored_candles(self._connection, name, names, starts, self._cold)
            self._stored[name] = list(stored.candles())

    def apply(
        self,
        session: Session,
        base: KeyedRecords | None = None,
        requested: Set[CandleKey] = frozenset(),
        busts: Set[tuple[str, int]] = frozenset(),
    ) -> Published:
        """Put live folds; publish `base`, and the folds that are not live and differ from stored.

        `busts`: those of `prepare` that are settled now. The session is committed by its owner.
        Raises TransientError when the live state is no longer as it was looked at.
        """
        view = self._view
        if session.lease.life != view.life:
            raise TransientError("the live state has moved on meanwhile")
        self._begin_earlier(session)
        out = {self._rules.base.name: KeyedRecords.of([]) if base is None else base}
        live = live_candles(session, self._names)
        live = live.at(live.records.has(CLOSED))
        newly_closed = {*live.keys(self._names)} - view.base.keys()
        if any(self._is_requested(*key) for key in newly_closed):
            # Closed since it was looked at, so it may have been stored before storage was read.
            if newly_closed.intersection(self._base.keys(self._names)):
                raise TransientError("what was recomputed has become live meanwhile")
            self._read(newly_closed)
        for name, part in self._parts.items():
            timeframe = self._rules.timeframe(name)
            folds = merged(KeyedRecords.of([part, self._rolled_up(live, timeframe)]))
            flagged(folds, timeframe, self.first_us[folds.instrument])
            differs = differing(folds, name, self._names, self._stored[name], requested)
            stored = self._put(session, timeframe, folds, requested)
            changed = folds.at(stored & differs)
            changed.records.data["flags"] |= CLOSED
            withdrawals = self._withdrawn(session, timeframe, folds, busts)
            out[name] = KeyedRecords.of([changed, withdrawals])
        before = [candles.records.data["revision"].max(initial=0) for candles in out.values()]
        published = Published(session.revision(int(max(before)) + 1))
        for name, candles in out.items():
            if len(candles):
                candles.records.data["revision"] = published.revision_us
                session.publish(candles.columns(name, self._names))
                published.keys |= {(n, name, start) for n, start in candles.keys(self._names)}
        return published

    def _begin_earlier(self, session: Session) -> None:
        """Let candles begin at the earliest tick that is live, which may not be stored yet."""
        present, live = session.instruments(self._names)
        numbers = [self._numbers[name] for name in present]
        stored_us = self.first_us[numbers]
        earlier = (stored_us == NEVER_US) | (live["first_us"] < stored_us)
        self.first_us[numbers] = np.where(earlier, live["first_us"], stored_us)

    def _withdrawn(
        self,
        session: Session,
        timeframe: Timeframe,
        folds: KeyedRecords,
        busts: Set[tuple[str, int]],
    ) -> KeyedRecords:
        """Withdraw longer candles whose last base candle lost all of its trades.

        One that has an open base candle loses its fold, and is published when that closes.
        """
        of_open = {
            (name, timeframe.start_us(start_us))
            for (name, start_us), revision_us in self._view.base.items()
            if not revision_us
        }
        emptied = {(name, timeframe.start_us(start_us)) for name, start_us in busts}
        emptied -= {*folds.keys(self._names)}
        to_withdraw = emptied - of_open
        published = [*live_closed(session, timeframe.name, to_withdraw)]
        published += [
            candle
            for candle in self._stored.get(timeframe.name, ())
            if (candle.instrument, candle.start_us) in to_withdraw
        ]
        for name, start_us in sorted(emptied):
            block = Block(timeframe.name, start_us)
            present, live = session.read(block, [name])
            if present:
                void = Records.empty(1)
                void.data["flags"] = live.data["flags"] & CLOSED
                session.put(block, [name], void)
        return withdrawn(self._connection, timeframe.name, to_withdraw, published, self._names)

    def _is_requested(self, name: str, start_us: int) -> bool:
        """Tell whether a base candle lies in a requested interval."""
        return any(
            (name, self._rules.timeframe(timeframe).start_us(start_us)) in keys
            for timeframe, keys in self._requested.items()
        )

    def _rolled_up(self, base: KeyedRecords, timeframe: Timeframe) -> KeyedRecords:
        """Return the requested folds of base candles."""
        folds, keys = rolled_up(base, timeframe), self._requested[timeframe.name]
        return folds.at(np.array([key in keys for key in folds.keys(self._names)], dtype=bool))

    def _put(
        self,
        session: Session,
        timeframe: Timeframe,
        folds: KeyedRecords,
        requested: Set[CandleKey],
    ) -> NDArray[np.bool_]:
        """Put the folds that are live, or are to be; tell which are closed and not live."""
        stored = np.ones(len(folds), dtype=bool)
        for start_us in np.unique(folds.start_us).tolist():
            block, end_us = Block(timeframe.name, start_us), timeframe.next_us(start_us)
            rows = np.flatnonzero(folds.start_us == start_us)
            names = [self._names[number] for number in folds.instrument[rows].tolist()]
            present, live = session.read(block, names)
            stays = [
                name in present or end_us > self._view.limit_us.get(name, end_us) for name in names
            ]
            rows, names = rows[stays], [n for n, each in zip(names, stays, strict=True) if each]
            stored[rows] = False
            put_changed(session, block, names, folds.records.at(rows), (present, live), requested)
        return stored


def put_changed(
    session: Session,
    block: Block,
    names: Sequence[str],
    records: Records,
    live: tuple[Sequence[str], Records],
    requested: Set[CandleKey],
) -> None:
    """Put those of a block's records that differ from the `live` ones, or were requested.

    What is closed stays closed.
    """
    before = {each.instrument: each for each in _candles(block, *live)}
    is_closed = [name in before and before[name].closed for name in names]
    records.data["flags"][is_closed] |= CLOSED
    changed = [
        row
        for row, candle in enumerate(_candles(block, names, records))
        if (candle.instrument, *block) in requested
        or candle.instrument not in before
        or candle != replace(before[candle.instrument], revision=candle.revision)
    ]
    session.put(block, [names[row] for row in changed], records.at(np.array(changed, np.intp)))


def _candles(block: Block, names: Sequence[str], records: Records) -> Iterator[Candle]:
    starts = np.full(len(names), block.start_us)
    return CandleColumns(block.timeframe, names, starts, records).candles()


def differing(
    candles: KeyedRecords,
    timeframe: str,
    names: Sequence[str],
    stored: Iterable[Candle],
    requested: Set[CandleKey] = frozenset(),
) -> NDArray[np.bool_]:
    """Tell which candles differ from the stored ones, or were requested.

    Writes the stored revisions into their records.
    """
    stored_by_key = {(each.instrument, each.start_us): each for each in stored}
    differs = np.ones(len(candles), dtype=bool)
    for n, candle in enumerate(candles.columns(timeframe, names).candles()):
        before = stored_by_key.get((candle.instrument, candle.start_us))
        if before is not None:
            candles.records.data["revision"][n] = before.revision
            is_requested = (candle.instrument, timeframe, candle.start_us) in requested
            differs[n] = is_requested or not same(candle, before)
    return differs


def same(a: Candle, b: Candle) -> bool:
    """Tell whether two candles are equal but for their revisions."""
    names = Candle.__dataclass_fields__.keys() - {"closed", "revision"}
    return all(getattr(a, name) == getattr(b, name) for name in names)
