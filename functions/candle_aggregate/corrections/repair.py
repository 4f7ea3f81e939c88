"""Queued candles recomputed from storage, and every longer candle that contains them folded again.

A base candle that is not live is recomputed from its stored ticks. A live one is left to the live
state, but for one that repeated trades, or that is asked for, or of which a trade was cancelled or
corrected: it is replaced once it is closed.
Longer candles are folded from base candles, stored and live, whether they are live or not.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Final

import numpy as np
from numpy.typing import NDArray
from psycopg import Connection

from functions.candle_aggregate.corrections.cancelled import live_closed, voids, withdrawn
from functions.candle_aggregate.corrections.gaps import mark_incomplete
from functions.candle_aggregate.corrections.refold import (
    Interval,
    Published,
    Refold,
    View,
    differing,
    look,
)
from functions.candle_aggregate.corrections.repair_queue import (
    BUST,
    Row,
    Verdicts,
    portions,
    ready_rows,
)
from functions.candle_aggregate.corrections.replace import (
    EVENTS_AT_ONCE,
    Place,
    replace_live,
    unsure,
    wait_until_stored,
)
from functions.candle_aggregate.engine import Engine
from functions.candle_aggregate.maintenance.state_check import run_recorded
from functions.candle_aggregate.publish import OutboxRow
from functions.candle_aggregate.rules import Rules
from functions.candle_aggregate.session import Session
from shared.adapter.app import Emission
from shared.candles.folds import Places, flagged, nothing, together
from shared.errors import TransientError
from shared.lake.cold import NO_LAKE, Cold
from shared.market.blocks import CLOSED, INCOMPLETE, PARTIAL
from shared.market.shards import shard_of
from shared.market.timeframes import Timeframe
from shared.reading.recompute import priced, recomputed
from shared.reading.stored_candles import stored_candles
from shared.runtime import metrics
from shared.stores.first_ticks import first_ticks
from shared.stores.postgres import Postgres, try_lock
from shared.wire.candle import VENUE, Candle

log = logging.getLogger(__name__)

REPAIR_FOR_S: Final = 15.0
"""So that one clock event does not hold up the next; it goes on."""
SPAN_US: Final = 3_600_000_000
EVENTS_AHEAD_US: Final = 3_600_000_000
"""Another replica's clock may be ahead."""
_REPLACED: Final = ("asked", "repeated", BUST)
"""Reasons to replace a live candle."""


def repair(
    engine: Engine, postgres: Postgres, rules: Rules, now_us: int, cold: Cold = NO_LAKE
) -> Iterator[Emission]:
    """Work off the queue for a while, one holder at a time. Raises TransientError."""
    until_s = time.monotonic() + REPAIR_FOR_S
    with postgres.connection() as holder:
        if not try_lock(holder, "kandle repair"):
            return
        with postgres.connection() as connection:
            ready = ready_rows(connection, rules)
        by_shard = sorted(ready, key=lambda row: shard_of(row.instrument, rules.shards))
        for shard, rows in groupby(
            by_shard, key=lambda row: shard_of(row.instrument, rules.shards)
        ):
            for portion in portions(rows):
                if time.monotonic() >= until_s:
                    return
                with postgres.connection() as connection:
                    job = _Job(engine, connection, rules, shard, now_us, cold)
                    try:
                        yield job.run(portion)
                    except TransientError as error:
                        log.warning("repairs of shard %d wait: %s", shard, error)
                        break


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

    def run(self, rows: Sequence[Row]) -> Emission:
        """Recompute, publish, and update the queue. Raises TransientError."""
        names = sorted({row.instrument for row in rows})
        replaces = any(row.reason in _REPLACED for row in rows)
        view, applied = self.engine.run(
            self.shard, lambda session: self._look(session, names, replaces=replaces)
        )
        verdicts = Verdicts()
        rows, places, intervals = self._selected(rows, view, verdicts)
        # What was cancelled must not be applied afterwards, also where nothing is live yet.
        busts = {self._place(row) for row in rows if row.reason == BUST}
        on_live = (places & view.base.keys()) | busts
        is_stored = bool(on_live) and wait_until_stored(self.connection, applied)
        candles = self._recomputed(names, places)
        events = None
        if is_stored:  # asked after the ticks were read: whatever they are of is among these
            starts = [start_us for _, start_us in on_live]
            events = unsure(self.connection, self.shard, self.base, starts)
        requested = {
            (row.instrument, row.timeframe or self.base.name, row.start_us)
            for row in rows
            if row.reason == "asked"
        }
        # What the cancelled trade is in may be on its way, at a revision that is not known here.
        requested |= {
            (name, each.name, each.start_us(start_us))
            for name, start_us in busts
            for each in self.rules.ladder
        }
        live = np.array([place in view.base for place in _places(names, candles)], dtype=bool)
        replacements = candles.at(live)
        base = self._above_venue(names, priced(candles.at(~live)))
        empty = sorted((busts & view.base.keys()) - set(_places(names, replacements)))
        replacements = together([replacements, voids(empty, names)])
        emptied = busts - set(_places(names, priced(candles)))
        stored = self._stored(emptied)
        self._note_stored(names, replacements, requested)
        changed = base.at(self._note_stored(names, base, requested))
        refold = Refold(self.connection, self.rules, view, names, self.cold)
        refold.prepare(intervals, base, busts)

        def write(session: Session) -> tuple[set[Place], Published, list[OutboxRow]]:
            waiting = set(on_live)
            candidates = [*stored, *live_closed(session, self.base.name, emptied)]
            if events is not None and all(session.are_applied(events)):
                waiting = replace_live(
                    session, self.base, names, replacements, view.base, requested
                )
                if newly_live := busts - view.base.keys():
                    waiting |= newly_live & look(session, self.rules, names).base.keys()
            to_withdraw = emptied - waiting
            withdrawals = withdrawn(self.connection, self.base.name, to_withdraw, candidates, names)
            published = refold.apply(
                session, together([changed, withdrawals]), requested, busts - waiting
            )
            return waiting, published, session.rows

        waiting, published, out = run_recorded(
            self.engine, self.connection, self.shard, write, self.now_us
        )
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
        """Return the live state, and, to replace it, its events that are not recorded yet."""
        until_us = self.now_us + EVENTS_AHEAD_US
        applied = session.applied_before(until_us, EVENTS_AT_ONCE) if replaces else []
        return look(session, self.rules, names), applied

    def _place(self, row: Row) -> Place:
        return row.instrument, self.base.start_us(row.start_us)

    def _stored(self, places: set[Place]) -> list[Candle]:
        """Return the stored base candles at these places."""
        keys = ([name for name, _ in places], [start_us for _, start_us in places])
        return [*stored_candles(self.connection, self.base.name, *keys, self.cold).candles()]

    def _selected(
        self, rows: Sequence[Row], view: View, verdicts: Verdicts
    ) -> tuple[list[Row], set[tuple[str, int]], set[Interval]]:
        """Return the rows to work off, the base candles to recompute, and what to fold again."""
        places: set[tuple[str, int]] = set()
        intervals: set[Interval] = set()
        selected = []
        for row in rows:
            place = self._place(row)
            if row.timeframe not in ("", self.base.name):
                if row.timeframe in {each.name for each in self.rules.ladder}:
                    intervals.add(Interval(row.instrument, row.timeframe, row.start_us))
                selected.append(row)
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
            selected.append(row)
        return selected, places, intervals

    def _recomputed(self, names: Sequence[str], places: set[tuple[str, int]]) -> Places:
        """Recompute the candles from stored ticks; those without a price are included."""
        numbers = {name: number for number, name in enumerate(names)}
        parts = [nothing()]
        for span in _spans(places, self.base):
            span_names = sorted({name for name, _ in span})
            starts = [start_us for _, start_us in span]
            local = np.array([numbers[name] for name in span_names], dtype=np.int64)
            requested = {(numbers[name], start_us) for name, start_us in span}
            until_us = self.base.next_us(max(starts))
            for candles in recomputed(
                self.connection, span_names, min(starts), until_us, self.base, self.cold
            ):
                candles = Places(local[candles.instrument], candles.start_us, candles.records)
                keys = zip(candles.instrument.tolist(), candles.start_us.tolist(), strict=True)
                parts.append(candles.at(np.array([key in requested for key in keys], dtype=bool)))
        base = together(parts)
        flagged(base, self.base, first_ticks(self.connection, names)[base.instrument])
        mark_incomplete(self.connection, self.base, names, base)
        base.records.data["flags"] |= CLOSED
        return base

    def _above_venue(self, names: Sequence[str], base: Places) -> Places:
        """Leave out partial candles for which the venue's own candle is stored."""
        lacking = np.flatnonzero((base.records.data["flags"] & (INCOMPLETE | PARTIAL)) != 0)
        if not len(lacking):
            return base
        places = _places(names, base)
        lacking_places = [places[row] for row in lacking.tolist()]
        stored = self._stored(set(lacking_places))
        theirs = {(each.instrument, each.start_us) for each in stored if each.origin == VENUE}
        return base.at(
            np.array([place not in theirs or place not in lacking_places for place in places])
        )

    def _note_stored(
        self, names: Sequence[str], base: Places, requested: set[tuple[str, str, int]]
    ) -> NDArray[np.bool_]:
        """Tell which recomputed candles differ from the stored ones, or were requested.

        Writes the stored revisions into their records.
        """
        columns = base.columns(self.base.name, names)
        stored = stored_candles(
            self.connection, self.base.name, columns.names, base.start_us.tolist(), self.cold
        )
        return differing(list(columns.candles()), list(stored.candles()), base, requested)


def _places(names: Sequence[str], places: Places) -> list[Place]:
    return [
        (names[number], start_us)
        for number, start_us in zip(
            places.instrument.tolist(), places.start_us.tolist(), strict=True
        )
    ]


def _spans(places: set[tuple[str, int]], base: Timeframe) -> Iterator[list[tuple[str, int]]]:
    """Yield candles whose intervals touch together, so that their ticks are read once."""
    span: list[tuple[str, int]] = []
    for place in sorted(places, key=lambda place: place[1]):
        if span and (place[1] > base.next_us(span[-1][1]) or place[1] - span[0][1] >= SPAN_US):
            yield span
            span = []
        span.append(place)
    if span:
        yield span
