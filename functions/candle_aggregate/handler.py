"""Events to the stage's work: ticks are applied, the clock closes and sends again."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from functions.candle_aggregate.apply import Rules, apply_ticks
from functions.candle_aggregate.clock import close_quiet, unconfirmed
from functions.candle_aggregate.publish import STAGE, publication
from functions.candle_aggregate.store import Store
from shared import events, metrics
from shared.adapter.app import Outcome
from shared.adapter.event import Event
from shared.errors import PermanentError
from shared.ticks import Ticks

CLOCK_MAX_AGE_S: Final = 5.0


@dataclass(slots=True)
class Aggregate:
    """The stage's handler. `epoch_of` returns a shard's epoch, beginning it where it must."""

    rules: Rules
    stores: Sequence[Store]
    epoch_of: Callable[[Store], int]

    def __call__(self, event: Event) -> Outcome:
        """Apply an event. Raises PermanentError for what is no tick batch and no clock."""
        if event.type == events.TICKS:
            return self._ticks(event)
        if event.type == events.CLOCK:
            return self._clock(event)
        raise PermanentError(
            "unexpected_type", f"candle-aggregate takes {events.TICKS} and {events.CLOCK}"
        )

    def _ticks(self, event: Event) -> Outcome:
        ticks = Ticks.decode(event.data())
        if not len(ticks):
            return Outcome()
        shard = int(event.attributes.get(events.SHARD, "0"))
        if shard >= len(self.stores):
            raise PermanentError(
                "unknown_shard",
                f"shard {shard} of {len(self.stores)}: SHARDS differs from normalize",
            )
        store = self.stores[shard]
        now_us = time.time_ns() // 1000
        closed = apply_ticks(store, self.rules, self.epoch_of(store), event.id, ticks, now_us)
        if closed is None:
            # Applied before: what that delivery may not have emitted any more is emitted now.
            metrics.EVENTS_REPEATED.labels(STAGE).inc()
            return publication(store, unconfirmed(store, now_us, after_ms=0))
        return publication(store, closed)

    def _clock(self, event: Event) -> Outcome:
        now_us = time.time_ns() // 1000
        if _age_s(event, now_us) > CLOCK_MAX_AGE_S:
            return Outcome()
        outcomes = []
        for store in self.stores:
            epoch = store.epoch()
            if epoch is None:
                continue  # nothing was applied yet
            due = close_quiet(store, self.rules, epoch, now_us)
            outcomes.append(publication(store, {**unconfirmed(store, now_us), **due}))

        def confirmed() -> None:
            for outcome in outcomes:
                if outcome.after_emit is not None:
                    outcome.after_emit()

        return Outcome([output for outcome in outcomes for output in outcome.emit], confirmed)


def _age_s(event: Event, now_us: int) -> float:
    stamp = event.attributes.get("time")
    if stamp is None:
        return 0.0
    try:
        return now_us / 1e6 - datetime.fromisoformat(stamp).timestamp()
    except ValueError:
        return 0.0
