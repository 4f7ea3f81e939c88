"""Event handler: evaluate closed candles; by the clock, load lost series and publish results.

It also evaluates alert rules without candles.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from functions.detect_pattern.deliver import Delivery
from functions.detect_pattern.publish import STAGE, publication, with_state_alerts
from functions.detect_pattern.state_rules import raise_state_alerts
from functions.detect_pattern.step import REFRESH_MS, Steps
from functions.detect_pattern.store import Store
from functions.detect_pattern.window import Window
from shared.adapter.app import Outcome
from shared.adapter.event import Event
from shared.errors import PermanentError
from shared.realtime.pattern_series import Name
from shared.realtime.watchlist import Watched
from shared.runtime import metrics
from shared.wire import events
from shared.wire.candle import Candle
from shared.wire.candle_columns import decode_batch

DUE_AT_ONCE: Final = 500
COUNT_EACH_S: Final = 10


@dataclass(frozen=True, slots=True)
class DetectPattern:
    """The stage's handler. `watched`: None means every instrument.

    `unused_ms`: how long a series without new candles stays; 0: forever.
    """

    steps: Steps
    store: Store
    delivery: Delivery
    watched: Watched | None = None
    unused_ms: int = 0

    def __call__(self, event: Event) -> Outcome:
        """Evaluate an event's candles. Raises PermanentError for what the stage does not take."""
        if event.type == events.CANDLES:
            return self._candles(decode_batch(event.data()))
        if event.type == events.CLOCK:
            return self._clock(event)
        if event.type == events.ALERTS:
            self.delivery.deliver(event)
            return Outcome()
        raise PermanentError("unexpected_type", f"{STAGE} does not take {event.type}")

    def ready(self) -> None:
        """Adopt the series before any event comes. Raises TransientError while it cannot work."""
        self.steps.storage.postgres.check()
        self.store.ready()

    def _candles(self, candles: Sequence[Candle]) -> Outcome:
        now_ms = time.time_ns() // 1_000_000
        self._refresh()
        series: dict[Name, list[Candle]] = {}
        for candle in candles:
            if candle.closed and self._selects(candle.instrument):
                series.setdefault((candle.instrument, candle.timeframe), []).append(candle)
        windows = {name: Window.of(closed, now_ms) for name, closed in series.items()}
        return self._step(windows, now_ms)

    def _clock(self, event: Event) -> Outcome:
        now_ms = time.time_ns() // 1_000_000
        if event.age_s(now_ms * 1000) > events.CLOCK_MAX_AGE_S:
            return Outcome()
        self._refresh()
        if now_ms // 1000 % COUNT_EACH_S == 0:
            if self.unused_ms:
                metrics.PATTERN_SERIES_UNUSED.inc(self.store.end_unused(now_ms - self.unused_ms))
            metrics.STOCKS_MONITORED.set(self.store.instruments())
        longest_ms = self.steps.longest_wait_ms
        if shards := self.store.unloaded_shards(now_ms, longest_ms):
            # New or lost shards: load each series from storage and evaluate it. Repeat later, for
            # series that had not reached storage yet.
            names = [each for each in self.steps.storage.all_series() if self._selects(each[0])]
            self.store.begin(shards, names, now_ms + REFRESH_MS)
        names = self.store.due(now_ms, longest_ms, DUE_AT_ONCE)
        outcome = self._step({name: Window.of(()) for name in names}, now_ms)
        postgres = self.steps.storage.postgres
        return with_state_alerts(outcome, raise_state_alerts(postgres, now_ms * 1000), postgres)

    def _refresh(self) -> None:
        self.store.adopt()
        if self.watched is not None:
            self.watched.refresh()

    def _selects(self, instrument: str) -> bool:
        return self.watched is None or self.watched.selects(instrument)

    def _step(self, series: dict[Name, Window], now_ms: int) -> Outcome:
        changed = self.steps.take(self.store, series, now_ms) if series else []
        return publication(self.store, changed, self.steps.due, now_ms)
