"""Queued candles recomputed from storage, and every longer candle that contains them folded again.

A base candle that is not live is recomputed from its stored ticks. A live one is left to the live
state, but for one that repeated trades, or that is asked for, or of which a trade was cancelled or
corrected: it is replaced once it is closed.
Longer candles are folded from base candles, stored and live, whether they are live or not.
"""

from __future__ import annotations

import logging
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from psycopg import Connection

from functions.candle_aggregate.corrections.cancelled import (
    CandleStart,
    live_closed,
    voids,
    withdrawn,
)
from functions.candle_aggregate.corrections.gaps import mark_incomplete
from functions.candle_aggregate.corrections.refold import (
    LiveView,
    Published,
    Refold,
    differing,
    view_live,
)
from functions.candle_aggregate.corrections.repair_queue import (
    BUST,
    QueueUpdate,
    Row,
    portions,
    ready_rows,
)
from functions.candle_aggregate.corrections.replace import (
    EVENTS_AT_ONCE,
    replace_live,
    unsure,
    wait_until_stored,
)
from functions.candle_aggregate.job_context import JobContext
from functions.candle_aggregate.session import Session
from shared.adapter.app import Emission
from shared.candles.folds import KeyedRecords, flagged
from shared.errors import TransientError
from shared.market.blocks import CLOSED, INCOMPLETE, PARTIAL
from shared.market.shards import shard_of
from shared.market.timeframes import Timeframe
from shared.reading.recompute import priced, recomputed
from shared.reading.stored_candles import stored_candles
from shared.runtime import metrics
from shared.stores.first_ticks import first_ticks
from shared.stores.postgres import try_lock
from shared.wire.candle import VENUE, Candle, CandleKey

log = logging.getLogger(__name__)

REPAIR_FOR_S: Final = 15.0
"""So that one clock event does not hold up the next; it goes on."""
SPAN_US: Final = 3_600_000_000
_REPLACED: Final = ("asked", "repeated", BUST)
"""Reasons to replace a live candle."""


def repair(context: JobContext) -> Iterator[Emission]:
    """Work off the queue for a while, one holder at a time. Raises TransientError."""
    until_s = time.monotonic() + REPAIR_FOR_S
    with context.postgres.connection() as holder:
        if not try_lock(holder, "kandle repair"):
            return
        with context.postgres.connection() as connection:
            ready = ready_rows(connection, context.rules)
        by_shard: dict[int, list[Row]] = defaultdict(list)
        for row in ready:
            by_shard[shard_of(row.instrument, context.rules.shards)].append(row)
        for shard, rows in sorted(by_shard.items()):
            for portion in portions(rows):
                if time.monotonic() >= until_s:
                    return
                with context.postgres.connection() as connection:
                    try:
                        yield _Job(context, connection, shard).run(portion)
                    except TransientError as error:
                        log.warning("repairs of shard %d wait: %s", shard, error)
                        break


@dataclass(frozen=True, slots=True)
class _Job:
    """Some queued candles of one shard."""

    context: JobContext
    connection: Connection
    shard: int

    @property
    def base(self) -> Timeframe:
        """The base timeframe."""
        return self.context.rules.base

    def run(self, rows: Sequence[Row]) -> Emission:
        """Recompute, publish, and update the queue. Raises TransientError."""
        names = sorted({row.instrument for row in rows})
        replaces = any(row.reason in _REPLACED for row in rows)

        def look(session: Session) -> tuple[LiveView, list[str]]:
            # To replace what is live, also its events that are not recorded yet.
            applied = session.applied(EVENTS_AT_ONCE) if replaces else []
            return view_live(session, names), applied

        view, applied = self.context.engine.run(self.shard, look)
        update = QueueUpdate()
        rows, places, intervals = self._selected(rows, view, update)
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
            for each in self.context.rules.ladder
        }
        live = np.array([place in view.base for place in candles.keys(names)], dtype=bool)
        replacements = candles.at(live)
        base = self._above_venue(names, priced(candles.at(~live)))
        empty = sorted((busts & view.base.keys()) - set(replacements.keys(names)))
        replacements = KeyedRecords.of([replacements, voids(empty, names)])
        with_price = set(priced(candles).keys(names))
        unpriced = set(candles.keys(names)) - with_price
        stored = self._stored((busts | unpriced) - with_price)
        of_venue = {(each.instrument, each.start_us) for each in stored if each.origin == VENUE}
        # A repetition, or a late trade, may be the one that counts, and make no price.
        lost = busts | (unpriced - of_venue)
        emptied = lost - with_price
        before = self._stored({*replacements.keys(names), *base.keys(names)})
        differing(replacements, self.base.name, names, before, requested)
        changed = base.at(differing(base, self.base.name, names, before, requested))
        refold = Refold(self.context, self.connection, view, names)
        refold.prepare(intervals, base, lost)

        def write(session: Session) -> tuple[set[CandleStart], Published]:
            waiting = set(on_live)
            candidates = [*stored, *live_closed(session, self.base.name, emptied)]
            if events is not None and all(session.are_applied(events)):
                waiting = replace_live(session, names, replacements, view.base, requested)
                if newly_live := busts - view.base.keys():
                    waiting |= newly_live & view_live(session, names).base.keys()
            known = {(each.instrument, each.start_us) for each in candidates if each.trade_count}
            settled = (lost & (busts | known)) - waiting
            to_withdraw = emptied & settled
            withdrawals = withdrawn(self.connection, self.base.name, to_withdraw, candidates, names)
            out = KeyedRecords.of([changed, withdrawals])
            return waiting, refold.apply(session, out, requested, settled)

        (waiting, published), emission = self.context.run_recorded(
            self.connection, self.shard, write
        )
        for row in rows:
            if row.reason in _REPLACED and self._place(row) in waiting:
                update.postponed.append(row)
            elif timeframes := published.of(
                row.instrument, row.start_us, self.context.rules.ladder
            ):
                update.published.append((row, published.revision_us, timeframes))
            else:
                update.done.append(row)
        update.write(self.connection)
        metrics.CANDLES_REPAIRED.inc(len(published.keys))
        return emission

    def _place(self, row: Row) -> CandleStart:
        return row.instrument, self.base.start_us(row.start_us)

    def _stored(self, places: set[CandleStart]) -> list[Candle]:
        """Return the stored base candles at these places."""
        keys = ([name for name, _ in places], [start_us for _, start_us in places])
        return [
            *stored_candles(self.connection, self.base.name, *keys, self.context.cold).candles()
        ]

    def _selected(
        self, rows: Sequence[Row], view: LiveView, update: QueueUpdate
    ) -> tuple[list[Row], set[CandleStart], set[CandleKey]]:
        """Return the rows to work off, the base candles to recompute, and what to fold again."""
        places: set[CandleStart] = set()
        intervals: set[CandleKey] = set()
        selected = []
        for row in rows:
            place = self._place(row)
            if row.timeframe not in ("", self.base.name):
                if row.timeframe in {each.name for each in self.context.rules.ladder}:
                    intervals.add((row.instrument, row.timeframe, row.start_us))
                selected.append(row)
                continue
            revision_us = view.base.get(place)
            if revision_us is None or (revision_us and row.reason in _REPLACED):
                places.add(place)
            elif not revision_us:
                update.postponed.append(row)
                continue
            for timeframe in self.context.rules.ladder[1:]:
                start_us = timeframe.start_us(row.start_us)
                intervals.add((row.instrument, timeframe.name, start_us))
            selected.append(row)
        return selected, places, intervals

    def _recomputed(self, names: Sequence[str], places: set[CandleStart]) -> KeyedRecords:
        """Recompute the candles from stored ticks; those without a price are included."""
        parts, number_of = [], {name: number for number, name in enumerate(names)}
        for span in _spans(places, self.base):
            span_names = sorted({name for name, _ in span})
            numbers = np.array([number_of[name] for name in span_names], dtype=np.int64)
            starts = [start_us for _, start_us in span]
            for candles in recomputed(
                *(self.connection, span_names, min(starts), self.base.next_us(max(starts))),
                *(self.base, self.context.cold),
            ):
                requested = [key in places for key in candles.keys(span_names)]
                parts.append(candles.at(np.array(requested, dtype=bool)).numbered(numbers))
        base = KeyedRecords.of(parts)
        flagged(base, self.base, first_ticks(self.connection, names)[base.instrument])
        mark_incomplete(self.connection, self.base, names, base)
        base.records.data["flags"] |= CLOSED
        return base

    def _above_venue(self, names: Sequence[str], base: KeyedRecords) -> KeyedRecords:
        """Leave out partial candles for which the venue's own candle is stored."""
        lacks = (base.records.data["flags"] & (INCOMPLETE | PARTIAL)) != 0
        stored = self._stored(set(base.at(lacks).keys(names))) if lacks.any() else []
        theirs = {(each.instrument, each.start_us) for each in stored if each.origin == VENUE}
        is_ours = np.array([key not in theirs for key in base.keys(names)], dtype=bool)
        return base.at(is_ours | ~lacks)


def _spans(places: set[CandleStart], base: Timeframe) -> Iterator[list[CandleStart]]:
    """Yield candles whose intervals touch together, so that their ticks are read once."""
    span: list[CandleStart] = []
    for place in sorted(places, key=lambda place: place[1]):
        if span and (place[1] > base.next_us(span[-1][1]) or place[1] - span[0][1] >= SPAN_US):
            yield span
            span = []
        span.append(place)
    if span:
        yield span
