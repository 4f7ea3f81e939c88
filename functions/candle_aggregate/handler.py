"""Events to the stage's work: ticks are applied, the clock does what no tick brings about."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from functions.candle_aggregate.apply import TickEvent, apply_events
from functions.candle_aggregate.clock import close_quiet, unconfirmed, unconfirmed_late
from functions.candle_aggregate.display import Display
from functions.candle_aggregate.evict import evict
from functions.candle_aggregate.gaps import judge_gaps
from functions.candle_aggregate.group import Group
from functions.candle_aggregate.merge import Applied
from functions.candle_aggregate.publish import STAGE, publication
from functions.candle_aggregate.reconcile import aggregated_before, reconcile, sweep_markers
from functions.candle_aggregate.repair import queue_flags, repair
from functions.candle_aggregate.rules import Rules
from functions.candle_aggregate.sample import sample
from functions.candle_aggregate.store import Store
from shared import events, metrics
from shared.adapter.app import Outcome
from shared.adapter.event import Event, OutgoingEvent
from shared.candle import CandleState
from shared.errors import PermanentError, TransientError
from shared.lake.cold import NO_LAKE, Cold
from shared.late import encode_late
from shared.latency import note_tick_seconds
from shared.stores.postgres import Postgres
from shared.ticks import Ticks

log = logging.getLogger(__name__)

GROUP_TICKS: Final = 100_000
EVICT_EACH_S: Final = 5
REPAIR_EACH_S: Final = 2
RECONCILE_EACH_S: Final = 10
SAMPLE_EACH_S: Final = 20
SWEEP_EACH_S: Final = 30


def wall_clock_us() -> int:
    """Return microseconds since 1970 UTC."""
    return time.time_ns() // 1000


@dataclass(slots=True)
class Aggregate:
    """The stage's handler. `epoch_of` returns a shard's epoch; a lost state is rebuilt first.

    `clock`: the wall clock in microseconds since 1970 UTC.
    """

    rules: Rules
    stores: list[Store]
    postgres: Postgres
    epoch_of: Callable[[Store], int]
    display: Display
    cold: Cold = NO_LAKE
    clock: Callable[[], int] = wall_clock_us
    groups: dict[int, Group] = field(default_factory=dict)
    groups_lock: threading.Lock = field(default_factory=threading.Lock)

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
        if ticks.shards != len(self.stores):
            ticks = ticks.sharded(len(self.stores))
        may_repeat = events.IDEMPOTENCY_KEY in event.attributes
        return Outcome.together(
            self._of_shard(self.stores[shard], TickEvent(event.id, part, may_repeat))
            for shard, part in ticks.by_shard()
        )

    def _of_shard(self, store: Store, event: TickEvent) -> Outcome:
        now_us, ticks = self.clock(), event.ticks
        applied = self._group(store).apply(event)
        if applied is None:
            # Applied before: what that delivery may not have emitted any more is emitted now.
            metrics.EVENTS_REPEATED.labels(STAGE).inc()
            late = unconfirmed_late(store, now_us, after_ms=0)
            return publication(store, unconfirmed(store, now_us, after_ms=0), late)
        note_tick_seconds(STAGE, ticks.receive_time_us)
        delay_s = time.time() - int(ticks.event_time_us.max()) / 1e6
        metrics.WATERMARK_DELAY.labels(str(store.keys.shard)).set(delay_s)
        return self._published(store, applied, now_us, [(event.id, ticks)])

    def _group(self, store: Store) -> Group:
        def apply_all(waiting: Sequence[TickEvent]) -> tuple[Applied, list[str]]:
            epoch, now_us = self.epoch_of(store), self.clock()
            done = aggregated_before(self.postgres, self.rules, store.keys.shard, waiting, now_us)
            fresh = [each for each in waiting if each.id not in done]
            applied, repeated = apply_events(store, self.rules, epoch, fresh, now_us)
            return applied, [*repeated, *done]

        with self.groups_lock:
            return self.groups.setdefault(store.keys.shard, Group(apply_all, GROUP_TICKS))

    def _published(
        self,
        store: Store,
        applied: Applied,
        now_us: int,
        ticks: Sequence[tuple[str, Ticks]] = (),
    ) -> Outcome:
        late = {id_: encode_late(id_, candles) for id_, candles in applied.late.items()}
        changed = [*applied.closed.values(), *applied.open.values()]
        shown = self._shown(store, changed, now_us, ticks)
        return publication(store, applied.closed, late, shown)

    def _shown(
        self,
        store: Store,
        changed: Iterable[CandleState],
        now_us: int,
        ticks: Sequence[tuple[str, Ticks]] = (),
    ) -> list[OutgoingEvent]:
        candles = [state.candle for state in changed]
        return self.display.events(store.keys.shard, ticks, candles, now_us)

    def _clock(self, event: Event) -> Outcome:
        now_us = self.clock()
        if event.age_s(now_us) > events.CLOCK_MAX_AGE_S:
            return Outcome()
        return Outcome.together(self._due(now_us))

    def _due(self, now_us: int) -> Iterator[Outcome]:
        """Do what this second asks for; what a lost clock event leaves undone, a later one does."""
        second = now_us // 1_000_000
        for store in self.stores:
            epoch = self.epoch_of(store)
            closed = close_quiet(store, self.rules, epoch, now_us)
            waiting = {**unconfirmed(store, now_us), **closed}
            shown = self._shown(store, closed.values(), now_us)
            yield publication(store, waiting, unconfirmed_late(store, now_us), shown)
            try:
                yield from self._with_storage(store, epoch, second, now_us)
            except TransientError as error:
                # What was closed above is emitted all the same; a later second does the rest.
                log.warning("the clock's work with storage waits: %s", error)

    def _with_storage(
        self, store: Store, epoch: int, second: int, now_us: int
    ) -> Iterator[Outcome]:
        if second % EVICT_EACH_S == 0:
            evict(store, self.postgres, self.rules, epoch, now_us)
        if second % RECONCILE_EACH_S == 0:
            changes = reconcile(store, self.postgres, self.rules, epoch, now_us, self.cold)
            for applied in changes:
                yield self._published(store, applied, now_us)
        if second % SAMPLE_EACH_S == 0:
            sample(store, self.postgres, self.rules, now_us, self.cold)
        if second % SWEEP_EACH_S == 0:
            sweep_markers(store, self.postgres, self.rules, now_us)
            queue_flags(self.postgres)
        if second % REPAIR_EACH_S == 0 and store is self.stores[0]:
            yield repair(self.stores, self.postgres, self.rules, now_us, self.cold)
        judged = judge_gaps(store, self.postgres, self.rules, epoch, now_us)
        changed = [*judged.closed.values(), *judged.open.values()]
        shown = self._shown(store, changed, now_us)
        yield publication(store, judged.closed, shown=shown)
