"""Events to rows: ticks, busts, quotes, rejects, candles, patterns, alerts, and feeds' health."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import psycopg

from functions.persist.busts import BustWriter
from functions.persist.feeds import FeedWriter
from functions.persist.patterns import PatternWriter
from functions.persist.quotes import QuoteWriter
from functions.persist.writer import Writer
from shared.adapter.app import Outcome
from shared.adapter.event import Event
from shared.alerts.event import AlertEvent
from shared.errors import PermanentError
from shared.runtime import metrics
from shared.runtime.latency import note_tick_seconds
from shared.wire import busts, events, rejects
from shared.wire.candle_columns import decode_columns
from shared.wire.feed_status import FeedStatus
from shared.wire.gaps import decode_gaps
from shared.wire.late import decode_late
from shared.wire.patterns import decode_patterns
from shared.wire.quotes import Quotes
from shared.wire.ticks import Ticks

STAGE = "persist"


@dataclass(frozen=True, slots=True)
class Persist:
    """The stage's handler.

    `ticks` stores a tick event and tells whether it was new. `tasks` are called by each clock event
    and do not wait for their work.
    """

    ticks: Callable[[str, Ticks], bool]
    writer: Writer
    patterns: PatternWriter
    feeds: FeedWriter
    quotes: QuoteWriter
    busts: BustWriter
    tasks: Sequence[Callable[[], None]] = ()

    def __call__(self, event: Event) -> Outcome:
        """Write an event's rows once. Raises PermanentError for what cannot be read or stored."""
        try:
            return self._written(event)
        except psycopg.DataError as error:  # a number, a text or a time that no column takes
            raise PermanentError("not_storable", f"Postgres refuses it: {error}") from error

    def _written(self, event: Event) -> Outcome:
        if event.type == events.CLOCK:
            now_us = time.time_ns() // 1000
            if event.age_s(now_us) <= events.CLOCK_MAX_AGE_S:
                for task in self.tasks:
                    task()
            return Outcome()
        if event.type == events.TICKS:
            ticks = Ticks.decode(event.data())
            self.quotes.markets(ticks.entries)
            written = self.ticks(event.id, ticks)
            metrics.TICKS_STORED.inc(len(ticks) if written else 0)
            note_tick_seconds(STAGE, ticks.receive_time_us)
        elif event.type == events.QUOTES:
            written, moved = self.quotes.quotes(event.id, Quotes.decode(event.data()))
            metrics.QUOTES_LATEST.inc(moved)
        elif event.type == events.CANDLES:
            stored = self.writer.candles(decode_columns(event.data()))
            metrics.CANDLES_STORED.inc(stored)
            written = stored > 0
        elif event.type == events.REJECTS:
            source, items = rejects.decode(event.data())
            written = self.writer.rejects(event.id, source, items)
            metrics.REJECTS_STORED.inc(len(items) if written else 0)
        elif event.type == events.BUSTS:
            written = self.busts(event.id, *busts.decode(event.data()))
        elif event.type == events.LATE:
            self.writer.repairs(decode_late(event.data()))
            written = True
        elif event.type == events.PATTERNS:
            stored = self.patterns.patterns(decode_patterns(event.data()))
            metrics.PATTERNS_STORED.inc(stored)
            written = stored > 0
        elif event.type == events.ALERTS:
            written = self.patterns.alert(AlertEvent.decode(event.data())) > 0
        elif event.type == events.GAP:
            written = self.feeds.gaps(event.id, *decode_gaps(event.data()))
        elif event.type == events.FEED:
            written = self.feeds.status(FeedStatus.decode(event.data()))
        else:
            raise PermanentError("unexpected_type", f"persist does not take {event.type}")
        if not written:
            metrics.EVENTS_REPEATED.labels(STAGE).inc()
        return Outcome()
