"""Queued candles, recomputed from storage: those that left the live state under a new epoch."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import Final

from functions.candle_aggregate.gaps import open_gaps
from functions.candle_aggregate.publish import candle_events
from functions.candle_aggregate.rebuild import rebuild_lock
from functions.candle_aggregate.replace import replace_live
from functions.candle_aggregate.rules import COUNTER_BITS, Rules
from functions.candle_aggregate.store import Store
from shared import metrics
from shared.adapter.app import Outcome
from shared.candle import Candle
from shared.gaps import touches
from shared.kernel import CandleKey
from shared.lake.cold import NO_LAKE, Cold
from shared.shards import shard_of
from shared.state import end_us
from shared.stores.postgres import Postgres, next_epoch, try_lock
from shared.stores.recompute import recomputed

REPAIRS_AT_ONCE: Final = 1_000
REPAIR_FOR_S: Final = 20.0
"""So that the clock event is answered in time; the next one goes on."""

_DUE: Final = """
    SELECT instrument, timeframe, start_us, event_id, reason FROM repairs
    WHERE requested_at <= now()
      AND (reason IN ('flag', 'asked')
           OR EXISTS (SELECT FROM applied_events a WHERE a.event_id = repairs.event_id))
    ORDER BY requested_at, instrument, start_us LIMIT %s
"""
"""A repair waits until the ticks of its event are stored."""

_WAITS: Final = """
    UPDATE repairs SET requested_at = now() + interval '10 seconds'
    WHERE instrument = %s AND timeframe = %s AND start_us = %s AND event_id = %s
"""
_STRIKE: Final = """
    DELETE FROM repairs
    WHERE instrument = %s AND timeframe = %s AND start_us = %s AND event_id = %s AND reason = %s
"""
_NO_LONGER_PARTIAL: Final = """
    INSERT INTO repairs (instrument, timeframe, start_us, event_id, reason)
    SELECT instrument, timeframe, start_us, '', 'flag'
    FROM candles JOIN first_ticks USING (instrument)
    WHERE partial AND first_ticks.first_time_us <= start_us ON CONFLICT DO NOTHING
"""


@dataclass(frozen=True, slots=True)
class _Span:
    """Queued candles of one instrument whose intervals touch."""

    instrument: str
    from_us: int
    to_us: int
    keys: list[CandleKey]


def repair(
    stores: list[Store], postgres: Postgres, rules: Rules, now_us: int, cold: Cold = NO_LAKE
) -> Outcome:
    """Recompute queued candles, one holder at a time; the queue is struck once they are emitted.

    A candle that is live is left to the live state, but for what it cannot know by itself: trades
    with contradictory contents, and what a person asks for. Raises TransientError.
    """
    with postgres.connection() as connection:
        if not try_lock(connection, "kandle repair"):
            return Outcome()
        for store in stores:
            # A rebuild excludes repairs: a candle that it is about to make must not get a higher
            # epoch from here.
            name = rebuild_lock(store)
            if not try_lock(connection, name, shared=True) or store.epoch() is None:
                return Outcome()
        # The queue first: what stands in it has its ticks stored, so the reading below has them.
        queued = [tuple(row) for row in connection.execute(_DUE, (REPAIRS_AT_ONCE,)).fetchall()]
        if not queued:
            return Outcome()
        epoch = next_epoch(connection)
        live = _live(stores, {(row[0], row[1], row[2]) for row in queued})
        wanted = {row[:3]: row[4] for row in queued if row[4] != "late" or row[:3] not in live}
        asked = {row[:3] for row in queued if row[4] == "asked"}
        candles: list[Candle] = []
        unsettled: set[CandleKey] = set()
        unread: set[CandleKey] = set()
        until_s = time.monotonic() + REPAIR_FOR_S
        for span in _spans(wanted, rules):
            if time.monotonic() > until_s:
                unread.update(span.keys)
                continue
            timeframes = tuple(sorted({rules.timeframe(key[1]) for key in span.keys}))
            found = recomputed(connection, *_range(span), timeframes, cold)
            gaps = open_gaps(connection, span.instrument)
            for key in span.keys:
                state = found.get(key)
                if key in live:
                    store = stores[shard_of(key[0], len(stores))]
                    anew = key in asked
                    if not replace_live(store, connection, rules, key, state, now_us, anew=anew):
                        unsettled.add(key)
                elif state is not None:
                    ends_us = end_us(rules.timeframe(key[1]), key[2])
                    state.complete = not touches(gaps, key[2], ends_us)
                    state.closed, state.revision = True, (epoch << COUNTER_BITS) + 1
                    candles.append(state.candle)
        done = [row for row in queued if row[:3] not in unsettled | unread]
        connection.cursor().executemany(_WAITS, [row[:4] for row in queued if row[:3] in unsettled])

    def confirmed() -> None:
        with postgres.connection() as connection:
            connection.cursor().executemany(_STRIKE, done)
        metrics.CANDLES_REPAIRED.inc(len(candles))

    return Outcome(candle_events(candles, 0), confirmed)


def queue_flags(postgres: Postgres) -> None:
    """Queue candles that are marked partial though an older tick has come. TransientError."""
    postgres.execute(_NO_LONGER_PARTIAL)


def _live(stores: list[Store], keys: set[CandleKey]) -> set[CandleKey]:
    found: set[CandleKey] = set()
    for shard, some in groupby(
        sorted(keys, key=lambda key: shard_of(key[0], len(stores))),
        key=lambda key: shard_of(key[0], len(stores)),
    ):
        store = stores[shard]
        names = {store.keys.candle(*key): key for key in some}
        found |= {
            names[name] for name, read in store.read(list(names)).items() if read.value is not None
        }
    return found


def _spans(keys: Iterable[CandleKey], rules: Rules) -> Iterator[_Span]:
    """Join candles whose intervals touch, so that their ticks are read once."""
    span: _Span | None = None
    for key in sorted(keys, key=lambda key: (key[0], key[2], -rules.timeframe(key[1]).length_us)):
        name, timeframe, start_us = key
        ends_us = end_us(rules.timeframe(timeframe), start_us)
        if span is not None and span.instrument == name and start_us <= span.to_us:
            span = _Span(name, span.from_us, max(span.to_us, ends_us), [*span.keys, key])
            continue
        if span is not None:
            yield span
        span = _Span(name, start_us, ends_us, [key])
    if span is not None:
        yield span


def _range(span: _Span) -> tuple[str, int, int]:
    return span.instrument, span.from_us, span.to_us
