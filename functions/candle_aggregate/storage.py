"""Postgres for the engine and for maintenance by the clock."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

from functions.candle_aggregate.corrections.gaps import evaluate_gaps
from functions.candle_aggregate.corrections.repair import repair
from functions.candle_aggregate.corrections.repair_queue import queue_flags
from functions.candle_aggregate.corrections.venue_history import publish_history, settle_histories
from functions.candle_aggregate.engine import Engine
from functions.candle_aggregate.job_context import JobContext
from functions.candle_aggregate.maintenance.evict import Eviction
from functions.candle_aggregate.maintenance.idle_instruments import move_unused, saved_records
from functions.candle_aggregate.maintenance.rebuild import rebuild
from functions.candle_aggregate.maintenance.reconcile import reconcile, recorded_before
from functions.candle_aggregate.maintenance.sample import sample
from functions.candle_aggregate.maintenance.state_check import adopt, is_whole
from functions.candle_aggregate.rules import Rules
from functions.candle_aggregate.session import Session
from functions.candle_aggregate.steps.step import TickEvent
from functions.candle_aggregate.steps.store import Lease, Store
from shared.adapter.app import Emission, Outcome
from shared.errors import TransientError
from shared.lake.reading.cold import NO_LAKE, Cold
from shared.stores.postgres import Postgres
from shared.wire.candle_history import CandleHistory

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Storage:
    """Postgres and the lake, for the engine."""

    store: Store
    postgres: Postgres
    rules: Rules
    clock: Callable[[], int]
    cold: Cold = NO_LAKE
    eviction: Eviction = field(init=False)
    _is_adopted: bool = False
    _trusted: dict[int, tuple[str, Lease]] = field(default_factory=dict)
    """By shard the server, and the lease that was trusted last: it counts the steps since."""

    def __post_init__(self) -> None:
        self.eviction = Eviction(self.postgres, self.rules)

    def is_trusted(self, lease: Lease) -> bool:
        """Tell whether a shard's state was held against Postgres, and did not go back since.

        While it is the same state on the same server, with no fewer steps. Raises TransientError.
        """
        if lease.shard not in self._trusted or lease.made_for != self.rules.made_for:
            return False
        server, last = self._trusted[lease.shard]
        if not lease.has_form or lease.lineage != last.lineage or lease.steps < last.steps:
            return False
        if self.store.server_id() != server:
            return False
        self._trusted[lease.shard] = server, lease
        return True

    def make(self, engine: Engine, lease: Lease) -> Outcome:
        """Hold a shard's state against Postgres; make it anew where it lacks something.

        Return what is to be emitted. Raises TransientError.
        """
        if not self._is_adopted:
            adopt(self.postgres, self.rules)
            self._is_adopted = True
        server = self.store.server_id()
        session = Session(self.store, self.rules, lease, self.clock())
        if lease.lineage and not lease.has_form:
            log.warning(
                "shard %d was last written by another version of candle-aggregate: rebuilt;"
                " run one version only",
                lease.shard,
            )
        if not (
            lease.lineage
            and lease.has_form
            and lease.made_for == self.rules.made_for
            and is_whole(self.postgres, lease.shard, lease.lineage, lease.steps)
        ):
            rebuild(session, self.postgres, self.cold)
        self._trusted[lease.shard] = server, lease
        return Outcome(shared=[engine.emission(session.rows)])

    def recorded(
        self, events: Sequence[TickEvent], began_us: Mapping[int, int], now_us: int
    ) -> Mapping[str, set[int]]:
        """Return, by event, the shards of which Postgres knows that it is in the candles.

        `began_us`: wall clock when the state of each shard was made.
        """
        since_us = max(began_us.values(), default=0)
        return recorded_before(self.postgres, self.rules, events, now_us, since_us)

    def returning(self, names: Sequence[str]) -> Mapping[str, bytes]:
        """Return the records of those of some instruments that left the state."""
        return saved_records(self.postgres, names)

    def history(self, engine: Engine, history: CandleHistory) -> Emission:
        """Publish a venue's candles. Raises TransientError and PermanentError."""
        return publish_history(JobContext(engine, self.postgres, self.cold), history)

    def work(self, engine: Engine, second: int) -> Iterator[Emission]:
        """Do what this second asks for, step by step; what fails is left to a later second."""
        context = JobContext(engine, self.postgres, self.cold)
        for each_s, step in self._steps(context):
            if second % each_s == 0:
                try:
                    yield from step()
                except TransientError as error:
                    log.warning("the clock's work with storage waits: %s", error)

    def _steps(self, context: JobContext) -> Iterator[tuple[int, Callable[[], Iterator[Emission]]]]:
        """Yield each step, and every how many seconds it is due."""
        for shard in range(self.rules.shards):
            yield 5, partial(_silent, self.eviction.evict, context.engine, shard)
            yield 10, partial(reconcile, context, shard)
        yield 1, partial(evaluate_gaps, context)
        yield 2, partial(repair, context)
        yield 2, partial(settle_histories, context)
        yield 30, partial(_silent, queue_flags, context)
        yield 20, partial(_silent, sample, context)
        yield 60, partial(_silent, move_unused, context)


def _silent(step: Callable[..., object], *arguments: object) -> Iterator[Emission]:
    """Take a step that emits nothing."""
    step(*arguments)
    yield from ()
