"""Rebuild a shard's live state from Postgres: from stored candles and the newest ticks.

What is recorded as aggregated is in the stored candles. So ticks are read only from the first
interval on that an event reaches which is not recorded (a minute or two); of the time before, each
instrument's open longer candles are folded from stored ones, level by level. Events that reach
back further are queued for repair, or left to be applied again.
"""

from __future__ import annotations

import logging
import secrets
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

import numpy as np
from numpy.typing import NDArray
from psycopg import Connection, IsolationLevel

from functions.candle_aggregate.corrections.gaps import mark_incomplete
from functions.candle_aggregate.corrections.refold import differing
from functions.candle_aggregate.maintenance.state_check import begin, check, recorded_clock_us
from functions.candle_aggregate.maintenance.stored_latest import StoredInstruments
from functions.candle_aggregate.rules import Rules
from functions.candle_aggregate.session import Session
from shared.candles.folds import KeyedRecords, flagged, merged, rolled_up
from shared.candles.partials import partials
from shared.lake.reading.cold import NO_LAKE, Cold
from shared.lake.reading.plan import hold_partitions
from shared.market.blocks import CLOSED, Records
from shared.market.shards import shard_of
from shared.market.timeframes import Timeframe
from shared.reading.recompute import recomputed
from shared.reading.stored_candles import Ranges, folded, stored_candles
from shared.realtime.keys import Block
from shared.stores.applied import Stored, aggregated_between, last_tick_us, not_aggregated
from shared.stores.postgres import Postgres
from shared.stores.segments import ticks_of_shard_events
from shared.wire.candle import VENUE
from shared.wire.candle_columns import CandleColumns

log = logging.getLogger(__name__)

Int64s = NDArray[np.int64]

NEAR_US: Final = 600_000_000
"""Age of the oldest ticks read; older ones are repaired or applied again."""
READ_AT_ONCE: Final = 20
"""Events in memory at once."""
EVERY: Final = 2**31 - 1
"""All events that are not recorded as aggregated."""
FAR_US: Final = 2**62
NEVER_US: Final = -(2**62)
COARSE_US: Final = 60_000_000
"""The last tick of an instrument is at most so long after the time that `first_ticks` has."""

_KNOWN: Final = (
    "SELECT instrument, first_time_us, last_time_us, least(first_time_us, history_us)"
    " FROM first_ticks"
)
_NEWEST: Final = """
    SELECT q.n, c.start_us, c.last_time_us, c.close FROM unnest(%s::text[])
        WITH ORDINALITY AS q (name, n)
    CROSS JOIN LATERAL (
        SELECT start_us, last_time_us, close FROM candles
        WHERE instrument = q.name AND timeframe = %s AND start_us < %s
        ORDER BY start_us DESC LIMIT 1
    ) AS c
"""
_STORED_SINCE: Final = """
    SELECT q.n - 1, c.start_us, c.revision FROM unnest(%s::text[]) WITH ORDINALITY AS q (name, n)
    CROSS JOIN LATERAL (
        SELECT start_us, revision FROM candles
        WHERE instrument = q.name AND timeframe = %s AND start_us >= %s
            AND trade_count > 0 AND origin <> %s
    ) AS c ORDER BY c.start_us
"""
_QUEUE: Final = """
    INSERT INTO repairs (instrument, timeframe, start_us, event_id)
    SELECT * FROM unnest(%s::text[], %s::text[], %s::bigint[], %s::text[]) ON CONFLICT DO NOTHING
"""
_REDO: Final = "UPDATE repairs SET published_us = NULL WHERE instrument = ANY(%s)"


@dataclass(frozen=True, slots=True)
class _Plan:
    """Inputs of a shard's rebuild. Arrays by the number of the instrument.

    From `from_us`, which becomes the floor of all, ticks are read, up to `to_us`. `events`: those
    to be marked as applied. `first_us`: since when trades are known, `since_us`: since when candles
    are. `newest_us`: not before the last tick, `base_us`: the start of the last stored base candle
    before `from_us`, NEVER_US without one; `close` and `last_us` are that candle's.
    """

    names: list[str]
    first_us: Int64s
    since_us: Int64s
    newest_us: Int64s
    base_us: Int64s
    last_us: Int64s
    close: list[Decimal | None]
    from_us: int
    to_us: int
    events: list[Stored]


def rebuild(session: Session, postgres: Postgres, cold: Cold = NO_LAKE) -> None:
    """Rebuild a shard's state under its lease. Raises TransientError."""
    lineage, shard, rules = secrets.token_hex(8), session.lease.shard, session.rules
    with postgres.connection(isolation=IsolationLevel.REPEATABLE_READ) as connection:
        hold_partitions(connection)
        check(connection, rules)
        plan = _plan(connection, shard, rules)
        session.revision(recorded_clock_us(connection) + 1)  # what is put now has a later one
        repairs = list(_reaching_back(connection, shard, rules, plan))
        with postgres.connection() as immediate:
            # Known before the state is: what is cut off in between is made anew.
            begin(immediate, shard, lineage, session.revision())
            columns = list(zip(*repairs, strict=True)) or [()] * 4
            immediate.execute(_QUEUE, [list(column) for column in columns])
            immediate.execute(_REDO, (plan.names,))
        session.clear()
        making = _Making(connection, session, plan, cold)
        base = making.read_ticks()
        making.put(rules.base, base)
        making.put_awaited(base)
        making.put_folds(base)
        session.mark([event.event_id for event in plan.events], session.now_us // 1000)
        # Their time of receipt may be later than the state's, by a clock that was set back since.
        session.record(
            aggregated_between(connection, shard, rules.shards, plan.from_us, plan.to_us)
        )
    session.begin(lineage)
    session.commit(release=False)
    session.lease.lineage = lineage
    log.info(
        "live state of shard %d made anew: %d instruments, %d live base candles, %d events",
        *(shard, len(plan.names), len(base), len(plan.events)),
    )


def _plan(connection: Connection, shard: int, rules: Rules) -> _Plan:
    base = rules.base
    rows = [
        row
        for row in connection.execute(_KNOWN).fetchall()
        if shard_of(row[0], rules.shards) == shard
    ]
    names = [row[0] for row in rows]
    events = not_aggregated(connection, shard, FAR_US, EVERY)
    # At the start of an interval: whatever is read from there on has its events marked.
    near_us = base.start_us(max((event.last_us for event in events), default=0) - NEAR_US)
    recent = [event for event in events if event.last_us >= near_us]
    reached = [event.first_us for event in recent if event.first_us >= near_us]
    newest_us = np.array([row[2] + COARSE_US for row in rows], dtype=np.int64)
    for row, (_, last_us, _) in _newest(connection, names, base, FAR_US).items():
        newest_us[row] = last_us
    until_us = max([*(event.last_us for event in recent), int(newest_us.max(initial=NEVER_US))])
    # Behind the last candle there may be ticks that make no price, which are in none.
    latest_us = max((row[2] + COARSE_US for row in rows), default=NEVER_US)
    last_us = last_tick_us(connection, shard, rules.shards, until_us, latest_us) or until_us
    until_us = min(last_us, max(until_us, latest_us))  # a segment may have later ones of others
    to_us = base.next_us(base.start_us(until_us))
    from_us = base.start_us(min(reached)) if reached else to_us
    before = _newest(connection, names, base, from_us)
    base_us, before_us = (np.full(len(names), NEVER_US, dtype=np.int64) for _ in range(2))
    for row, (start_us, time_us, _) in before.items():
        base_us[row], before_us[row] = start_us, time_us
    return _Plan(
        names,
        np.array([row[1] for row in rows], dtype=np.int64),
        np.array([row[3] for row in rows], dtype=np.int64),
        newest_us,
        base_us,
        before_us,
        [before[row][2] if row in before else None for row in range(len(names))],
        from_us,
        to_us,
        [event for event in recent if event.last_us >= from_us],
    )


def _newest(
    connection: Connection, names: Sequence[str], base: Timeframe, before_us: int
) -> dict[int, tuple[int, int, Decimal]]:
    """Return start, last time and close of each instrument's last stored base candle."""
    rows = connection.execute(_NEWEST, (list(names), base.name, before_us)).fetchall()
    return {n - 1: (start_us, last_us, close) for n, start_us, last_us, close in rows}


def _reaching_back(
    connection: Connection, shard: int, rules: Rules, plan: _Plan
) -> Iterator[tuple[str, str, int, str]]:
    """Yield the repairs of what the marked events have before the time that is read."""
    back = [event.event_id for event in plan.events if event.first_us < plan.from_us]
    for first in range(0, len(back), READ_AT_ONCE):
        event_ids = back[first : first + READ_AT_ONCE]
        keys: set[tuple[str, int, str]] = set()
        for event_id, ticks in ticks_of_shard_events(connection, shard, rules.shards, event_ids):
            candles = partials(ticks, rules.base.length_us)
            before = candles.at(candles.start_us < plan.from_us)
            keys |= {(name, start_us, event_id) for name, start_us in before.keys(ticks.names)}
        for name, start_us, event_id in sorted(keys):
            yield name, "", start_us, event_id


class _Making:
    """Rebuild of one shard's state from stored candles and ticks."""

    def __init__(self, connection: Connection, session: Session, plan: _Plan, cold: Cold) -> None:
        self._connection, self._session, self._plan = connection, session, plan
        self._rules, self._cold = session.rules, cold
        self._limit_us = plan.newest_us

    def read_ticks(self) -> KeyedRecords:
        """Return the base candles of the ticks that are read; write what else these say."""
        plan, rules = self._plan, self._rules
        instruments = StoredInstruments(self._session, plan.names)
        instruments.begin(plan.since_us, plan.newest_us, plan.last_us, plan.close, plan.from_us)
        parts: list[KeyedRecords] = []
        if plan.from_us < plan.to_us:
            parts += recomputed(
                *(self._connection, plan.names, plan.from_us, plan.to_us, rules.base),
                cold=self._cold,
                each=instruments.take,
            )
        base = merged(KeyedRecords.of(parts))
        self._limit_us = instruments.write()
        mark_incomplete(self._connection, rules.base, plan.names, base)
        return base

    def put(self, timeframe: Timeframe, candles: KeyedRecords) -> None:
        """Write candles: those stored unchanged keep their revision, the others are emitted."""
        plan, data = self._plan, candles.records.data
        since_us = plan.first_us if timeframe == self._rules.base else plan.since_us
        flagged(candles, timeframe, since_us[candles.instrument])
        closed = timeframe.ends_us(candles.start_us) <= self._limit_us[candles.instrument]
        data["flags"] = np.where(closed, data["flags"] | CLOSED, data["flags"] & (255 - CLOSED))
        stored = self._stored(timeframe, candles).candles()
        is_stored = ~differing(candles, timeframe.name, plan.names, stored) & closed
        for start_us in np.unique(candles.start_us).tolist():
            for as_stored in (False, True):
                some = candles.at((candles.start_us == start_us) & (is_stored == as_stored))
                names = [name for name, _ in some.keys(plan.names)]
                block = Block(timeframe.name, start_us)
                self._session.put(block, names, some.records, as_stored=as_stored)

    def put_awaited(self, base: KeyedRecords) -> None:
        """Write voids in place of candles that were stored before their ticks.

        Their events will be applied. Until then no longer candle that is folded again has them,
        else it would have them twice.
        """
        plan, timeframe, has_ticks = self._plan, self._rules.base, set(base.keys(self._plan.names))
        awaited: dict[int, list[tuple[str, int]]] = defaultdict(list)
        stored = self._connection.execute(
            _STORED_SINCE, (plan.names, timeframe.name, plan.from_us, VENUE)
        )
        for number, start_us, revision_us in stored:
            name = plan.names[number]
            if (name, start_us) not in has_ticks:
                awaited[start_us].append((name, revision_us))
        for start_us, candles in awaited.items():
            names, revisions = map(list, zip(*candles, strict=True))
            records = Records.empty(len(names))
            records.data["flags"], records.data["revision"] = CLOSED, revisions
            block = Block(timeframe.name, start_us)
            self._session.put(block, names, records, as_stored=True)

    def put_folds(self, base: KeyedRecords) -> None:
        """Write the longer candles that may be open, or not stored, and those of live candles."""
        plan, shorter = self._plan, self._rules.base
        closed = base.at(shorter.ends_us(base.start_us) <= self._limit_us[base.instrument])
        numbers = np.flatnonzero(plan.base_us > NEVER_US)
        names = [plan.names[number] for number in numbers.tolist()]
        newest_us = plan.base_us[numbers]
        until_us, below = shorter.ends_us(newest_us), KeyedRecords.of([])
        for timeframe in self._rules.ladder[1:]:
            from_us = timeframe.starts_us(newest_us)
            ranges = Ranges(shorter.name, names, from_us.tolist(), until_us.tolist())
            part = folded(self._connection, ranges, cold=self._cold)
            starts = timeframe.starts_us(below.start_us)
            below = KeyedRecords(below.instrument, starts, below.records)
            below = merged(KeyedRecords.of([below, part.numbered(numbers)]))
            folds = merged(KeyedRecords.of([below, rolled_up(closed, timeframe)]))
            self.put(timeframe, folds.at(self._is_needed(timeframe, folds)))
            until_us, shorter = from_us, timeframe

    def _is_needed(self, timeframe: Timeframe, folds: KeyedRecords) -> NDArray[np.bool_]:
        """Tell which folds must be live: those that may hold a live candle, and unstored ones."""
        needed = timeframe.ends_us(folds.start_us) > self._plan.from_us
        older = folds.at(~needed)
        stored = self._stored(timeframe, older)
        stored_keys = set(zip(stored.names, stored.start_us.tolist(), strict=True))
        needed[~needed] = [key not in stored_keys for key in older.keys(self._plan.names)]
        return needed

    def _stored(self, timeframe: Timeframe, candles: KeyedRecords) -> CandleColumns:
        columns = candles.columns(timeframe.name, self._plan.names)
        starts = columns.start_us.tolist()
        return stored_candles(self._connection, timeframe.name, columns.names, starts, self._cold)
