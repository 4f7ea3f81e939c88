"""Group commit over shards: one thread applies all queued events to the shards that it leases.

What waits for a shard that another replica has waits on, and the thread goes on with the shards
that it has. A lease is kept while nobody else asks for it, and given back after a step when
somebody does, or when there is nothing more to do. Nothing is computed for a shard not held.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, Final, Protocol, TypeVar

from functions.candle_aggregate.display import Display
from functions.candle_aggregate.leases import Leases
from functions.candle_aggregate.publish import OutboxRow, delete_sent, fill_outbox, output_events
from functions.candle_aggregate.rules import Rules
from functions.candle_aggregate.session import Session
from functions.candle_aggregate.steps.step import Computed, Steps, TickEvent
from functions.candle_aggregate.steps.store import Changes, Lease, Store
from shared.adapter.app import Emission, Outcome
from shared.adapter.event import OutgoingEvent
from shared.errors import TransientError
from shared.market.shards import shard_of
from shared.runtime import metrics

log = logging.getLogger(__name__)

T = TypeVar("T")

GROUP_TICKS: Final = 100_000
WAIT_S = 15.0
"""So long an event waits for a shard that another replica has, or that is being made."""


@dataclass(slots=True)
class Applied:
    """Result of an event: what its steps emit, and whether it was applied before."""

    emissions: list[Emission] = field(default_factory=list)
    repeated: bool = True
    show: list[OutgoingEvent] = field(default_factory=list)

    @property
    def outcome(self) -> Outcome:
        """The outcome for the adapter."""
        return Outcome(shared=self.emissions, show=self.show)


class Storage(Protocol):
    """Interface of the engine to Postgres. Every method raises TransientError."""

    def is_trusted(self, lease: Lease) -> bool:
        """Tell whether a shard's state holds all that Postgres relies on."""

    def make(self, engine: Engine, lease: Lease) -> Outcome:
        """Rebuild a shard's state; return its output."""

    def recorded(
        self, events: Sequence[TickEvent], began_us: Mapping[int, int], now_us: int
    ) -> Mapping[str, set[int]]:
        """Tell of which shards Postgres knows that events are aggregated there.

        Of those whose markers may have gone: old ones, and what came before the state began.
        """

    def returning(self, names: Sequence[str]) -> Mapping[str, bytes]:
        """Return the records of those of some instruments that left the state."""


Step = Callable[[Mapping[int, Lease], int], Computed]
"""Computes a step of no event, over the shards that are held at a time (us)."""


@dataclass(slots=True, eq=False)
class _Work:
    """Queued work: an event, a step without an event, or a job under one shard's lease."""

    left: set[int]
    event: TickEvent | None = None
    step: Step | None = None
    job: Callable[[Session], Any] | None = None
    until_s: float = field(default_factory=lambda: time.monotonic() + WAIT_S)
    applied: Applied = field(default_factory=Applied)
    future: Future[Any] = field(default_factory=Future)
    asked: set[str] = field(default_factory=set)
    """Lineages of states since whose making Postgres was asked whether it knows the event."""


class Engine:
    """The live state as one replica works on it. Every method may be called from any thread.

    `clock`: the wall clock in microseconds since 1970 UTC.
    """

    def __init__(
        self,
        store: Store,
        rules: Rules,
        storage: Storage,
        clock: Callable[[], int],
        display: Display | None = None,
    ) -> None:
        self.store, self.rules, self.clock = store, rules, clock
        self.steps = Steps(store, rules, storage.returning)
        self.display, self._storage = display, storage
        self._waiting: list[_Work] = []
        self._active: list[_Work] = []
        self._wake = threading.Condition()
        self._stopped = self._draining = False
        self._leases = Leases(
            store,
            self.steps,
            storage.is_trusted,
            lambda lease: storage.make(self, lease),
            self._wake,
        )
        self._thread = threading.Thread(target=self._run, name="steps", daemon=True)
        self._thread.start()

    def submit(self, event: TickEvent) -> Future[Applied]:
        """Queue an event; its future raises TransientError if it must be delivered again."""
        shards = {shard_of(name, self.rules.shards) for name in event.ticks.names}
        return self._enqueue(_Work(shards, event))

    def apply(self, events: Iterable[TickEvent]) -> list[Applied]:
        """Apply events, and wait for it. Raises TransientError."""
        futures = [self.submit(event) for event in events]
        return [future.result() for future in futures]

    def step(self, shards: Iterable[int], step: Step) -> Applied:
        """Take a step of no event over some shards, and wait for it. Raises TransientError."""
        applied: Applied = self._enqueue(_Work(set(shards), step=step)).result()
        return applied

    def show(self) -> Outcome:
        """Show open candles whose last change is still to be shown. Raises TransientError."""
        if self.display is None:
            return Outcome()
        shards = self.display.waiting(self.steps, self.clock())
        return self.step(shards, lambda _, __: Computed()).outcome

    def begin(self, shards: Iterable[int]) -> None:
        """Start the rebuild of missing shard states, without waiting."""
        for shard in set(shards) - self._leases.making:
            self._enqueue(_Work({shard}, step=lambda _, __: Computed()))

    def run(self, shard: int, job: Callable[[Session], T]) -> T:
        """Run a job under a shard's lease, and commit what it put. Raises TransientError."""
        result: T = self._enqueue(_Work({shard}, job=job)).result()
        return result

    def outcomes(self) -> list[Outcome]:
        """Take the output of finished rebuilds."""
        taken, self._leases.outcomes = self._leases.outcomes, []
        return taken

    def emission(self, rows: Sequence[OutboxRow]) -> Emission:
        """Return what emits rows of outboxes, and then deletes them."""
        candles = sum(row.candles for row in rows)

        def confirmed() -> None:
            delete_sent(self.store, rows)
            metrics.CANDLES_PUBLISHED.inc(candles)

        return Emission(output_events(rows), confirmed)

    def drain(self) -> None:
        """Keep leases no longer than work lasts: another replica is to go on at once."""
        with self._wake:
            self._draining = True
            self._wake.notify()

    def close(self) -> None:
        """End the thread, and release all leases."""
        with self._wake:
            self._stopped = True
            self._wake.notify()
        self._thread.join()
        self._leases.close()

    def _enqueue(self, work: _Work) -> Future[Any]:
        if not work.left:
            work.future.set_result(work.applied)
            return work.future
        with self._wake:
            if self._stopped:
                raise TransientError("candle-aggregate is ending")
            self._waiting.append(work)
            self._wake.notify()
        return work.future

    # The thread

    def _run(self) -> None:
        while not self._stopped:
            self._take(waits=not self._active)
            if not self._active:
                continue
            try:
                if not self._cycle():
                    self._leases.wait()
            except TransientError as error:
                self._fail(self._active, error)
            except Exception as error:
                log.exception("a step met a defect")
                self._fail(self._active, error)
        self._fail([*self._active, *self._waiting], TransientError("candle-aggregate is ending"))
        self._leases.leave()

    def _take(self, *, waits: bool) -> None:
        """Take what is queued; `waits`: wait until there is something, and give leases back."""
        if waits:
            with self._wake:
                self._wake.wait_for(lambda: self._draining or self._has_work(), self._leases.idle_s)
                is_idle = not self._has_work()
            if is_idle:
                self._leases.leave()
        with self._wake:
            if waits:
                self._wake.wait_for(lambda: self._has_work() or self._leases.made)
            busy = {work.event.id for work in self._active if work.event is not None}
            ticks = sum(len(work.event.ticks) for work in self._active if work.event is not None)
            for work in list(self._waiting):
                if work.event is not None:
                    if work.event.id in busy or (busy and ticks > GROUP_TICKS):
                        continue
                    busy.add(work.event.id)
                    ticks += len(work.event.ticks)
                self._waiting.remove(work)
                if work.future.set_running_or_notify_cancel():
                    self._active.append(work)

    def _has_work(self) -> bool:
        return bool(self._waiting) or self._stopped

    def _cycle(self) -> bool:
        """Do what can be done with the shards that are held; tell whether that was anything."""
        requested = set[int]().union(*(work.left for work in self._active))
        if self._leases.made:
            with self._wake:
                waiting = [work.left for work in self._waiting]
            self._leases.return_made(requested.union(*waiting))
        self._leases.gather(requested)
        now_us = self.clock()
        self._skip_recorded(now_us)
        progressed = False
        for work in [each for each in self._active if each.job is not None]:
            progressed |= self._do(work, now_us)
        for work in [each for each in self._active if each.step is not None]:
            if leases := self._leases.of(work.left):
                assert work.step is not None
                self._write(work.step(leases, now_us), leases, [work], now_us)
                progressed = True
        group = [work for work in self._active if work.event is not None]
        if leases := self._leases.of(set().union(*(work.left for work in group))):
            self._apply(group, leases, now_us)
            progressed = True
        self._finish()
        self.steps.trim()
        return progressed

    def _apply(self, group: Sequence[_Work], leases: Mapping[int, Lease], now_us: int) -> None:
        works = [work for work in group if work.left & leases.keys()]
        try:
            events = [(each.event, each.left & leases.keys()) for each in works if each.event]
            computed = self.steps.apply(events, leases, now_us)
            self._write(computed, leases, works, now_us)
        except TransientError as error:
            self._leases.drop(leases)
            self._fail(works, error)
        except Exception as error:
            self._leases.drop(leases)
            if len(works) == 1:
                log.exception("an event met a defect")
                self._fail(works, error)
                return
            self._leases.acquire(set().union(*(work.left for work in self._active)))
            for work in works:  # one of them is at fault: the others must not suffer for it
                if alone := self._leases.of(work.left):
                    self._apply([work], alone, now_us)

    def _write(
        self,
        computed: Computed,
        leases: Mapping[int, Lease],
        works: Sequence[_Work],
        now_us: int,
    ) -> None:
        """Write a step; record in each work the shards done and the output."""
        rows = fill_outbox(computed, self.steps.cache.instruments, now_us)
        steps = [(lease, computed.changes.get(shard, Changes())) for shard, lease in leases.items()]
        changed = [(lease, changes) for lease, changes in steps if changes]
        try:
            goes_on = bool(self._waiting) and self._leases.tenure_left_s > 0
            answers = self.store.write(changed, computed.since_us, release=not goes_on)
        except TransientError:
            self._leases.drop(leases)
            raise
        done = {lease.shard for lease, changes in steps if not changes}
        for (lease, _), written in zip(changed, answers, strict=True):
            if written.answer == "ok":
                done.add(lease.shard)
                if not written.is_held:
                    self._leases.hand_over(lease.shard)
                continue
            metrics.APPLY_CONFLICTS.inc()
            self._leases.drop([lease.shard])
            for work in works:
                if work.event is not None and work.event.id in written.applied:
                    work.left.discard(lease.shard)
        ready = [row for row in rows if row.shard in done]
        emission = self.emission(ready) if ready else None
        for work in works:
            if work.left & done:
                work.applied.repeated = False
                if emission is not None:
                    work.applied.emissions.append(emission)
            work.left -= done
        metrics.TICKS_DUPLICATE.inc(computed.repeated)
        metrics.CANDLES_CORRECTED.inc(sum(level.corrected for level in computed.levels))
        if self.display is not None and done:
            events = [work.event for work in works if work.event is not None]
            written_leases = {shard: lease for shard, lease in leases.items() if shard in done}
            show = self.display.events(computed, events, self.steps, written_leases, now_us)
            works[0].applied.show += show

    def _do(self, work: _Work, now_us: int) -> bool:
        (shard,) = work.left
        lease = self._leases.held.get(shard)
        if lease is None:
            return False
        assert work.job is not None
        session = Session(self.store, self.rules, lease, now_us)
        try:
            result = work.job(session)
            leaves_records = session.leaves_records
            session.commit()
            if self.display is not None and session.put_open:
                self.display.note_corrected(shard, session.put_open, self.steps)
        except Exception as error:  # noqa: BLE001 (raised to who asked for it)
            self._leases.drop([shard])
            self._fail([work], error)
            return True
        self._leases.return_after_job(shard, is_cache_true=leaves_records)
        self._active.remove(work)
        work.future.set_result(result)
        return True

    def _skip_recorded(self, now_us: int) -> None:
        """Leave out shards that have an event by what Postgres says, asked once a lineage."""
        unchecked: list[tuple[_Work, TickEvent]] = []
        for work in self._active:
            lineages = {lease.lineage for lease in self._leases.of(work.left).values()}
            if work.event is not None and work.applied.repeated and not lineages <= work.asked:
                work.asked |= lineages
                unchecked.append((work, work.event))
        recorded = self._storage.recorded(
            [event for _, event in unchecked],
            {shard: lease.began_us for shard, lease in self._leases.held.items()},
            now_us,
        )
        for work, event in unchecked:
            work.left -= recorded.get(event.id, set())

    # The end of work

    def _finish(self) -> None:
        late_s = time.monotonic()
        for work in list(self._active):
            if not work.left:
                self._active.remove(work)
                work.future.set_result(work.applied)
            elif work.until_s < late_s:
                self._fail([work], TransientError(self._leases.reason(work.left)))

    def _fail(self, works: Sequence[_Work], error: Exception) -> None:
        for work in list(works):
            if work in self._active:
                self._active.remove(work)
            elif work in self._waiting:
                self._waiting.remove(work)
                if not work.future.set_running_or_notify_cancel():
                    continue
            work.future.set_exception(error)
