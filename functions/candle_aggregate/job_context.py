"""Context of jobs on the live state: the engine, Postgres and the lake, for all corrections."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from psycopg import Connection

from functions.candle_aggregate.engine import Engine
from functions.candle_aggregate.maintenance.state_check import record
from functions.candle_aggregate.rules import Rules
from functions.candle_aggregate.session import Session
from shared.adapter.app import Emission
from shared.lake.reading.cold import NO_LAKE, Cold
from shared.stores.postgres import Postgres

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class JobContext:
    """Engine, Postgres and lake of a job. Every method raises TransientError."""

    engine: Engine
    postgres: Postgres
    cold: Cold = NO_LAKE

    @property
    def rules(self) -> Rules:
        """The aggregation rules."""
        return self.engine.rules

    def now_us(self) -> int:
        """Return the time by the engine's clock."""
        return self.engine.clock()

    def run_recorded(
        self, connection: Connection, shard: int, job: Callable[[Session], T]
    ) -> tuple[T, Emission]:
        """Run a job that changes a shard's state, and record its step in the caller's transaction.

        A state that goes back lacks the change, and once its cause is deleted from Postgres no
        event would repeat it. Returns what the job does, and what is to be emitted.
        """

        def work(session: Session) -> tuple[T, Session]:
            return job(session), session

        result, session = self.engine.run(shard, work)
        lease, clock_us = session.lease, self.engine.store.revision(self.now_us())
        record(connection, shard, lease.lineage, lease.steps, clock_us, at_least=True)
        return result, self.engine.emission(session.rows)
