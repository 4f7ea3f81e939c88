"""Clock work with storage: reconcile, repair, gaps, the sample, and the lineage of each shard."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from functions.candle_aggregate.gaps import judge_gaps
from functions.candle_aggregate.lineage import adopt, check, is_whole, record
from functions.candle_aggregate.rebuild import rebuild
from functions.candle_aggregate.reconcile import reconcile
from functions.candle_aggregate.repair import queue_flags, repair
from functions.candle_aggregate.rules import Rules
from functions.candle_aggregate.sample import sample
from functions.candle_aggregate.store import Turn
from functions.candle_aggregate.work import Engine, Work
from shared.adapter.app import Outcome
from shared.errors import TransientError
from shared.lake.cold import NO_LAKE, Cold
from shared.stores.postgres import Postgres

log = logging.getLogger(__name__)

RECONCILE_EACH_S: Final = 10
REPAIR_EACH_S: Final = 2
SAMPLE_EACH_S: Final = 20
FLAGS_EACH_S: Final = 30


@dataclass(slots=True)
class Storage:
    """What the engine asks of storage, and what the clock does there."""

    postgres: Postgres
    rules: Rules
    clock: Callable[[], int]
    cold: Cold = NO_LAKE
    is_adopted: bool = False

    def is_trusted(self, turn: Turn) -> bool:
        """Tell whether a shard's state holds all that Postgres relies on. Raises TransientError."""
        if not self.is_adopted:
            adopt(self.postgres, self.rules)
            self.is_adopted = True
        return (
            bool(turn.lineage)
            and turn.made_for == self.rules.made_for
            and is_whole(self.postgres, turn.shard, turn.lineage, turn.steps)
        )

    def make(self, engine: Engine, turn: Turn) -> Outcome:
        """Make a shard's state anew; return what is to be emitted. Raises TransientError."""
        work = Work(engine.store, turn, self.rules)
        return rebuild(work, self.postgres, self.rules, self.clock(), self.cold)

    def work(self, engine: Engine, second: int) -> Iterator[Outcome]:
        """Do what this second asks for, step by step; what fails is left to a later second."""
        now_us = self.clock()
        for step in self._steps(engine, second, now_us):
            try:
                yield from step()
            except TransientError as error:
                log.warning("clock work with storage waits: %s", error)

    def _steps(
        self, engine: Engine, second: int, now_us: int
    ) -> Iterator[Callable[[], Iterator[Outcome]]]:
        postgres, rules, cold = self.postgres, self.rules, self.cold
        if second % RECONCILE_EACH_S == 0:
            for shard in range(rules.shards):
                yield lambda shard=shard: reconcile(engine, postgres, rules, shard, now_us)
        yield lambda: judge_gaps(engine, postgres, rules, now_us, cold)
        if second % REPAIR_EACH_S == 0:
            yield lambda: repair(engine, postgres, rules, now_us, cold)
        if second % FLAGS_EACH_S == 0:
            yield lambda: _nothing(queue_flags(postgres))
        if second % SAMPLE_EACH_S == 0:
            yield lambda: _nothing(sample(engine, postgres, rules, now_us, cold))
