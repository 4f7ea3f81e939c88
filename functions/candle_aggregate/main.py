"""candle-aggregate: tick batches in, exact candles of every timeframe out."""

from __future__ import annotations

import os
from dataclasses import dataclass

from functions.candle_aggregate.display import Display
from functions.candle_aggregate.engine import Engine
from functions.candle_aggregate.handler import Aggregate, wall_clock_us
from functions.candle_aggregate.maintenance.state_check import check_base
from functions.candle_aggregate.publish import STAGE
from functions.candle_aggregate.rules import Rules
from functions.candle_aggregate.steps.store import Store
from functions.candle_aggregate.storage import Storage
from shared.adapter.delegated import served
from shared.adapter.draining import Draining
from shared.adapter.wiring import event_app
from shared.lake.reading.cold import Cold
from shared.realtime.leases import Watched
from shared.runtime.settings import FromEnvironment, integer, nested, text
from shared.stores.limits import REPAIR, Limits
from shared.stores.postgres import Postgres
from shared.stores.redis import connect
from shared.stores.s3 import S3Access

WAITING_TOGETHER = 24
"""Tick events that wait for their group (maxAckPending of the trigger), and room for the clock."""


@dataclass(frozen=True, kw_only=True)
class Settings(FromEnvironment):
    """Settings of candle-aggregate, from its environment."""

    redis_url: str = text("REDIS_URL")
    database_url: str = text("DATABASE_URL", overridden_by="DB_WRITE_DSN")
    limits: Limits = nested(REPAIR.read)
    s3: S3Access = nested(S3Access.read)
    rules: Rules = nested(Rules.read)
    show_every_us: int = integer("OPEN_EVERY_MS", 250, 0, 60_000, times=1000)


settings = Settings.from_env(os.environ)
client = connect(settings.redis_url)
store = Store(client)
postgres = Postgres(settings.database_url, size=12, limits=settings.limits)
storage = Storage(store, postgres, settings.rules, wall_clock_us, Cold(settings.s3))
display = Display(Watched(client), settings.show_every_us)
engine = Engine(store, settings.rules, storage, wall_clock_us, display)


def ready() -> None:
    """Raise TransientError while a store is away, or has candles of another base timeframe.

    A state is made by who needs it, not here.
    """
    store.check()
    with postgres.connection() as connection:
        check_base(connection, settings.rules)


app = event_app(
    STAGE,
    Aggregate(engine, storage),
    os.environ,
    concurrency=WAITING_TOGETHER,
    ready=Draining(engine.drain).from_readiness(ready),
    emits=True,
)
candle_aggregate = served("candle_aggregate", app)
