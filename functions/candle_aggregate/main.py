"""candle-aggregate: tick batches in, exact candles of every timeframe out."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field

import functions_framework.aio
from starlette.requests import Request
from starlette.responses import Response

from functions.candle_aggregate.display import Display
from functions.candle_aggregate.engine import Engine
from functions.candle_aggregate.handler import Aggregate, wall_clock_us
from functions.candle_aggregate.publish import STAGE
from functions.candle_aggregate.rules import Rules
from functions.candle_aggregate.steps.store import Store
from functions.candle_aggregate.storage import Storage
from shared.adapter.delegated import Delegated
from shared.adapter.wiring import event_app
from shared.lake.cold import Cold
from shared.market.shards import DEFAULT_SHARDS, MAX_SHARDS
from shared.market.timeframes import DEFAULT_LADDER, parse_ladder
from shared.realtime.leases import Watched
from shared.runtime.settings import Environment
from shared.stores.limits import REPAIR, Limits
from shared.stores.postgres import Postgres
from shared.stores.redis import connect
from shared.stores.s3 import S3Access

WAITING_TOGETHER = 24
"""Tick events that wait for their group (maxAckPending of the trigger), and room for the clock."""


@dataclass(frozen=True)
class Settings:
    """Settings of candle-aggregate, from its environment."""

    redis_url: str = field(repr=False)
    database_url: str = field(repr=False)
    limits: Limits
    s3: S3Access = field(repr=False)
    rules: Rules
    show_every_us: int

    @classmethod
    def from_env(cls, mapping: Mapping[str, str]) -> Settings:
        """Read and check. Raises SettingsError."""
        env = Environment(mapping)
        settings = cls(
            redis_url=env.text("REDIS_URL"),
            database_url=env.text("DB_WRITE_DSN", "") or env.text("DATABASE_URL"),
            limits=REPAIR.from_env(env),
            s3=S3Access.from_mapping(mapping),
            rules=Rules(
                ladder=env.parsed("TIMEFRAMES", DEFAULT_LADDER, parse_ladder),
                allowed_lateness_us=env.integer("ALLOWED_LATENESS_MS", 2_000, 0, 3_600_000) * 1000,
                idle_us=env.integer("IDLE_MS", 5_000, 100, 3_600_000) * 1000,
                marker_ms=env.integer("MARKER_TTL_S", 600, 60, 30 * 86_400) * 1000,
                keep_us=env.integer("KEEP_S", 600, 1, 30 * 86_400) * 1_000_000,
                unused_us=env.integer("KEEP_INSTRUMENTS_D", 90, 0, 100_000) * 86_400_000_000,
                shards=env.integer("SHARDS", DEFAULT_SHARDS, 1, MAX_SHARDS),
            ),
            show_every_us=env.integer("OPEN_EVERY_MS", 250, 0, 60_000) * 1000,
        )
        env.check()
        return settings


settings = Settings.from_env(os.environ)
client = connect(settings.redis_url)
store = Store(client)
postgres = Postgres(settings.database_url, size=12, limits=settings.limits)
storage = Storage(store, postgres, settings.rules, wall_clock_us, Cold(settings.s3))
display = Display(Watched(client), settings.show_every_us)
engine = Engine(store, settings.rules, storage, wall_clock_us, display)


def ready() -> None:
    """Raise TransientError while a store is away. A state is made by who needs it, not here."""
    store.check()
    postgres.check()


app = event_app(
    STAGE,
    Aggregate(engine, storage, display=display),
    os.environ,
    concurrency=WAITING_TOGETHER,
    ready=ready,
    emits=True,
)


@functions_framework.aio.http
async def candle_aggregate(request: Request) -> Response:
    """Answer one request: an event, a probe or a scrape."""
    return Delegated(app)
