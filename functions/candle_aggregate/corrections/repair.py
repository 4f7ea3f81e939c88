"""Queued candles recomputed from storage, and every longer candle that contains them folded again.

A base candle that is not live is recomputed from its stored ticks. A live one is left to the live
state, but for one that repeated trades, or that is asked for, or of which a trade was cancelled or
corrected: it is replaced once it is closed.
Longer candles are folded from base candles, stored and live, whether they are live or not.
A row stays in the queue until what it published is stored; until then no other repair of that
instrument begins, since it would read the stored candles as they were.
"""

from __future__ import annotations

import logging
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby, islice
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from psycopg import Connection

from functions.candle_aggregate.corrections.cancelled import live_closed, voids, withdrawn
from functions.candle_aggregate.corrections.gaps import open_gaps
from functions.candle_aggregate.corrections.refold import (
    Interval,
    Published,
    Refold,
    View,
    differing,
    look,
    nothing,
)
from functions.candle_aggregate.corrections.replace import (
    EVENTS_AT_ONCE,
    Place,
    replace_live,
    unsure,
    wait_until_stored,
)
from functions.candle_aggregate.corrections.venue_history import unstored
from functions.candle_aggregate.engine import Engine
from functions.candle_aggregate.publish import OutboxRow
from functions.candle_aggregate.rules import Rules
from functions.candle_aggregate.session import Session
from shared.adapter.app import Emission
from shared.candles.folds import Places, flagged, together
from shared.errors import TransientError
from shared.lake.cold import NO_LAKE, Cold
from shared.market.blocks import CLOSED, INCOMPLETE, PARTIAL
from shared.market.shards import shard_of
from shared.market.timeframes import Timeframe
from shared.reading.recompute import priced, recomputed
from shared.reading.stored_candles import stored_candles
from shared.runtime import metrics
from shared.stores.applied import are_stored
from shared.stores.first_ticks import beginnings, first_ticks
from shared.stores.postgres import Postgres, try_lock
from shared.wire.candle import VENUE, Candle

log = logging.getLogger(__name__)

REPAIR_FOR_S: Final = 15.0
"""So that one clock event does not hold up the next; it goes on."""
QUEUED_AT_ONCE: Final = 20_000
CANDLES_AT_ONCE: Final = 2_000
SPAN_US: Final = 3_600_000_000
EVENTS_AHEAD_US: Final = 3_600_000_000
"""Another replica's clock may be ahead."""
_BUST: Final = "bust"
"""A trade was cancelled or corrected; `start_us` is when that trade was."""
_REPLACED: Final = ("asked", "repeated", _BUST)
"""Reasons to replace a live candle."""

_AWAY: Final = """
    SELECT instrument, timeframe, start_us, event_id, reason, published_us, published FROM repairs
    WHERE published_us IS NOT NULL
"""
_QUEUED: Final = """
    SELECT instrument, timeframe, start_us, event_id, reason, published_us, published FROM repairs
    WHERE published_us IS NULL AND requested_at <= now()
    ORDER BY requested_at, instrument, start_us LIMIT %s
"""
_POSTPONE: Final = """
    UPDATE repairs SET requested_at = now() + interval '10 seconds', published_us = NULL
    FROM unnest(%s::text[], %s::text[], %s::bigint[], %s::text[]) AS q (i, t, s, e)
    WHERE instrument = q.i AND timeframe = q.t AND start_us = q.s AND event_id = q.e
"""
_PUBLISHED: Final = """
    UPDATE repairs SET published_us = q.u, published = q.p::text[], requested_at = now()
    FROM unnest(%s::text[], %s::text[], %s::bigint[], %s::text[], %s::bigint[], %s::text[])
        AS q (i, t, s, e, u, p)
    WHERE instrument = q.i AND timeframe = q.t AND start_us = q.s AND event_id = q.e
"""
_STRIKE: Final = """
    DELETE FROM repairs USING unnest(%s::text[], %s::text[], %s::bigint[], %s::text[], %s::text[])
        AS q (i, t, s, e, r)
    WHERE instrument = q.i AND timeframe = q.t AND start_us = q.s AND event_id = q.e
        AND reason = q.r
"""
_STORED: Final = """
    SELECT q.n FROM unnest(%s::int[], %s::text[], %s::text[], %s::bigint[], %s::bigint[])
        AS q (n, i, t, s, u)
    LEFT JOIN candles c ON c.instrument = q.i AND c.timeframe = q.t AND c.start_us = q.s
    WHERE coalesce(c.revision, 0) < q.u
"""
_NO_LONGER_PARTIAL: Final = """
    INSERT INTO repairs (instrument, timeframe, start_us, event_id, reason)
    SELECT instrument, timeframe, start_us, '', 'flag'
    FROM candles JOIN first_ticks f USING (instrument)
    WHERE partial AND timeframe = ANY(%(ladder)s) AND start_us >= CASE timeframe
        WHEN %(base)s THEN f.first_time_us ELSE least(f.first_time_us, f.history_us) END
    ON CONFLICT DO NOTHING
"""


class _Row(NamedTuple):
    instrument: str
    timeframe: str
    start_us: int
    event_id: str
    reason: str
    published_us: int | None
    published: list[str]

    @property
    def key(self) -> tuple[str, str, int, str]:
        return self[:4]


@dataclass(slots=True)
class _Verdicts:
    """What becomes of rows of the queue."""

    done: list[_Row] = field(default_factory=list)
    postponed: list[_Row] = field(default_factory=list)
    published: list[tuple[_Row, int, list[str]]] = field(default_factory=list)

    def write(self, connection: Connection) -> None:
        """Let the queue say so."""
        if self.done:
            columns = list(zip(*((*row.key, row.reason) for row in self.done), strict=True))
            connection.execute(_STRIKE, [list(column) for column in columns])
        if self.postponed:
            columns = list(zip(*(row.key for row in self.postponed), strict=True))
            connection.execute(_POSTPONE, [list(column) for column in columns])
        if self.published:
            some = [
                (*row.key, revision, "{" + ",".join(timeframes) + "}")
                for row, revision, timeframes in self.published
            ]
            columns = list(zip(*some, strict=True))
            connection.execute(_PUBLISHED, [list(column) for column in columns])


def repair(
    engine: Engine, postgres: Postgres, rules: Rules, now_us: int, cold: Cold = NO_LAKE
) -> Iterator[Emission]:
    """Work off the queue for a while, one holder at a time. Raises TransientError."""
    until_s = time.monotonic() + REPAIR_FOR_S
    with postgres.connection() as holder:
        if not try_lock(holder, "kandle repair"):
            return
        with postgres.connection() as connection:
            away = [_Row(*row) for row in connection.execute(_AWAY)]
            queued = [_Row(*row) for row in connection.execute(_QUEUED, (QUEUED_AT_ONCE,))]
            verdicts = _Verdicts()
            ready = _ready(connection, rules, away, queued, verdicts)
            verdicts.write(connection)
        by_shard = sorted(ready, key=lambda row: shard_of(row.instrument, rules.shards))
        for shard, rows in groupby(
            by_shard, key=lambda row: shard_of(row.instrument, rules.shards)
        ):
            for some in _portions(rows):
                if time.monotonic() >= until_s:
                    return
                with postgres.connection() as connection:
                    job = _Job(engine, connection, rules, shard, now_us, cold)
                    try:
                        yield job.run(some)
                    except TransientError as error:
                        log.warning("repairs of shard %d wait: %s", shard, error)
                        break


def queue_flags(postgres: Postgres, rules: Rules) -> None:
    """Queue candles that are marked partial though an older tick has come. TransientError."""
    with postgres.connection() as connection:
        ladder = [each.name for each in rules.ladder]
        connection.execute(_NO_LONGER_PARTIAL, {"ladder": ladder, "base": rules.base.name})


def _portions(rows: Iterable[_Row]) -> Iterator[list[_Row]]:
    """Yield the rows of some instruments at a time, each instrument once.

    Of one with very many candles the others wait until what these publish is stored.
    """
    by_name: dict[str, list[_Row]] = defaultdict(list)
    for row in rows:
        by_name[row.instrument].append(row)
    some: list[_Row] = []
    candles = 0
    for mine in by_name.values():
        places = set(islice(dict.fromkeys(row.start_us for row in mine), CANDLES_AT_ONCE))
        some += [row for row in mine if row.start_us in places]
        candles += len(places)
        if candles >= CANDLES_AT_ONCE:
            yield some
            some, candles = [], 0
    if some:
        yield some


def _ready(
    connection: Connection,
    rules: Rules,
    away: Sequence[_Row],
    queued: Sequence[_Row],
    verdicts: _Verdicts,
) -> list[_Row]:
    """Return the rows that can be worked off: their ticks are stored, nothing is on its way."""
    on_their_way = _on_their_way(connection, rules, away)
    verdicts.done += [row for row in away if row.key not in on_their_way]
    busy = {key[0] for key in on_their_way} | unstored(connection, rules)
    fresh = [row for row in queued if row.instrument not in busy]
    events = {row.event_id for row in fresh if row.reason in ("late", "repeated")}
    stored = are_stored(connection, sorted(events))
    ready = []
    for row in fresh:
        if row.event_id in events and row.event_id not in stored:
            verdicts.postponed.append(row)
        else:
            ready.append(row)
    return ready


def _on_their_way(
    connection: Connection, rules: Rules, rows: Sequence[_Row]
) -> set[tuple[str, str, int, str]]:
    """Return the keys of the rows of which a published candle is not stored yet."""
    wanted = [
        (n, row.instrument, name, rules.timeframe(name).start_us(row.start_us), row.published_us)
        for n, row in enumerate(rows)
        for name in row.published
    ]
    if not wanted:
        return set()
    columns = [list(column) for column in zip(*wanted, strict=True)]
    return {rows[n].key for (n,) in connection.execute(_STORED, columns)}


class _Job:
    """Some queued candles of one shard."""

    def __init__(
        self,
        engine: Engine,
        connection: Connection,
        rules: Rules,
        shard: int,
        now_us: int,
        cold: Cold,
    ) -> None:
        self.engine, self.connection, self.rules = engine, connection, rules
        self.shard, self.now_us, self.cold = shard, now_us, cold
        self.base = rules.base

    def run(self, rows: Sequence[_Row]) -> Emission:
        """Recompute, publish, and note it in the queue. Raises TransientError."""
        names = sorted({row.instrument for row in rows})
        replaces = any(row.reason in _REPLACED for row in rows)
        view, applied = self.engine.run(
            self.shard, lambda session: self._look(session, names, replaces=replaces)
        )
        verdicts = _Verdicts()
        rows, places, intervals = self._wanted(rows, view, verdicts)
        # What was cancelled must not be applied afterwards, also where nothing is live yet.
        busts = {self._place(row) for row in rows if row.reason == _BUST}
        on_live = (places & view.base.keys()) | busts
        is_stored = bool(on_live) and wait_until_stored(self.connection, applied)
        found = self._recomputed(names, places)
        events = None
        if is_stored:  # asked after the ticks were read: whatever they are of is among these
            starts = [start_us for _, start_us in on_live]
            events = unsure(self.connection, self.shard, self.base, starts)
        asked = {
            (row.instrument, row.timeframe or self.base.name, row.start_us)
            for row in rows
            if row.reason == "asked"
        }
        # What the cancelled trade is in may be on its way, at a revision that is not known here.
        asked |= {
            (name, each.name, each.start_us(start_us))
            for name, start_us in busts
            for each in self.rules.ladder
        }
        live = np.array([place in view.base for place in _places(names, found)], dtype=bool)
        anew = found.at(live)
        base = self._above_venue(names, priced(found.at(~live)))
        empty = sorted((busts & view.base.keys()) - set(_places(names, anew)))
        anew = together([anew, voids(empty, names)])
        gone = busts - set(_places(names, priced(found)))
        stored = self._stored(gone)
        self._note_stored(names, anew, asked)
        changed = base.at(self._note_stored(names, base, asked))
        firsts = beginnings(self.connection, names)
        refold = Refold(self.connection, self.rules, view, names, firsts, self.cold)
        refold.prepare(intervals, base, busts)

        def write(session: Session) -> tuple[set[Place], Published, list[OutboxRow]]:
            waiting = set(on_live)
            known = [*stored, *live_closed(session, self.base.name, gone)]
            if events is not None and all(session.are_applied(events)):
                waiting = replace_live(session, self.base, names, anew, view.base, asked)
                if begun := busts - view.base.keys():
                    waiting |= begun & look(session, self.rules, names).base.keys()
            left = gone - waiting
            rest = withdrawn(self.connection, self.base.name, left, known, names)
            published = refold.apply(
                session, together([changed, rest]), asked, self.now_us, busts - waiting
            )
            return waiting, published, session.rows

        waiting, published, out = self.engine.run(self.shard, write)
        for row in rows:
            if row.reason in _REPLACED and self._place(row) in waiting:
                verdicts.postponed.append(row)
                continue
            timeframes = published.of(row.instrument, row.start_us, self.rules.ladder)
            if timeframes:
                verdicts.published.append((row, published.revision_us, timeframes))
            else:
                verdicts.done.append(row)
        verdicts.write(self.connection)
        metrics.CANDLES_REPAIRED.inc(len(published.keys))
        return self.engine.emission(out)

    def _look(
        self, session: Session, names: Sequence[str], *, replaces: bool
    ) -> tuple[View, list[str]]:
        """Return what is live, and to replace it the events that made it and are not recorded."""
        until_us = self.now_us + EVENTS_AHEAD_US
        applied = session.applied_before(until_us, EVENTS_AT_ONCE) if replaces else []
        return look(session, self.rules, names), applied

    def _place(self, row: _Row) -> Place:
        return row.instrument, self.base.start_us(row.start_us)

    def _stored(self, places: set[Place]) -> list[Candle]:
        """Return the stored base candles at these places."""
        where = ([name for name, _ in places], [start_us for _, start_us in places])
        return [*stored_candles(self.connection, self.base.name, *where, self.cold).candles()]

    def _wanted(
        self, rows: Sequence[_Row], view: View, verdicts: _Verdicts
    ) -> tuple[list[_Row], set[tuple[str, int]], set[Interval]]:
        """Return the rows to work off, the base candles to recompute, and what to fold again."""
        places: set[tuple[str, int]] = set()
        intervals: set[Interval] = set()
        taken = []
        for row in rows:
            place = self._place(row)
            if row.timeframe not in ("", self.base.name):
                if row.timeframe in {each.name for each in self.rules.ladder}:
                    intervals.add(Interval(row.instrument, row.timeframe, row.start_us))
                taken.append(row)
                continue
            revision_us = view.base.get(place)
            if revision_us is None or (revision_us and row.reason in _REPLACED):
                places.add(place)
            elif not revision_us:
                verdicts.postponed.append(row)
                continue
            for timeframe in self.rules.ladder[1:]:
                start_us = timeframe.start_us(row.start_us)
                intervals.add(Interval(row.instrument, timeframe.name, start_us))
            taken.append(row)
        return taken, places, intervals

    def _recomputed(self, names: Sequence[str], places: set[tuple[str, int]]) -> Places:
        """Return what stored ticks say of the places; what has no price is among it."""
        numbers = {name: number for number, name in enumerate(names)}
        parts = [nothing()]
        for some in _spans(places, self.base):
            here = sorted({name for name, _ in some})
            starts = [start_us for _, start_us in some]
            local = np.array([numbers[name] for name in here], dtype=np.int64)
            wanted = {(numbers[name], start_us) for name, start_us in some}
            until_us = self.base.next_us(max(starts))
            for found in recomputed(
                self.connection, here, min(starts), until_us, self.base, self.cold
            ):
                found = Places(local[found.instrument], found.start_us, found.records)
                keys = zip(found.instrument.tolist(), found.start_us.tolist(), strict=True)
                parts.append(found.at(np.array([key in wanted for key in keys], dtype=bool)))
        base = together(parts)
        flagged(base, self.base, first_ticks(self.connection, names)[base.instrument])
        named = [names[number] for number in base.instrument.tolist()]
        incomplete = open_gaps(self.connection, names).touch(named, base.start_us, self.base)
        base.records.data["flags"] |= CLOSED
        base.records.data["flags"][incomplete] |= INCOMPLETE
        return base

    def _above_venue(self, names: Sequence[str], base: Places) -> Places:
        """Leave out what is not whole where the venue's own candle is stored."""
        lacking = np.flatnonzero((base.records.data["flags"] & (INCOMPLETE | PARTIAL)) != 0)
        if not len(lacking):
            return base
        places = _places(names, base)
        wanted = [places[row] for row in lacking.tolist()]
        stored = self._stored(set(wanted))
        theirs = {(each.instrument, each.start_us) for each in stored if each.origin == VENUE}
        return base.at(np.array([place not in theirs or place not in wanted for place in places]))

    def _note_stored(
        self, names: Sequence[str], base: Places, asked: set[tuple[str, str, int]]
    ) -> NDArray[np.bool_]:
        """Tell which recomputed candles differ from what is stored, or are asked for.

        Writes the stored revisions into their records.
        """
        mine = base.columns(self.base.name, names)
        stored = stored_candles(
            self.connection, self.base.name, mine.names, base.start_us.tolist(), self.cold
        )
        return differing(list(mine.candles()), list(stored.candles()), base, asked)


def _places(names: Sequence[str], some: Places) -> list[Place]:
    return [
        (names[number], start_us)
        for number, start_us in zip(some.instrument.tolist(), some.start_us.tolist(), strict=True)
    ]


def _spans(places: set[tuple[str, int]], base: Timeframe) -> Iterator[list[tuple[str, int]]]:
    """Yield candles whose intervals touch together, so that their ticks are read once."""
    some: list[tuple[str, int]] = []
    for place in sorted(places, key=lambda place: place[1]):
        if some and (place[1] > base.next_us(some[-1][1]) or place[1] - some[0][1] >= SPAN_US):
            yield some
            some = []
        some.append(place)
    if some:
        yield some
