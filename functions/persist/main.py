"""persist: ticks, quotes, busts, rejects and closed candles into Postgres, each exactly once."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import functions_framework.aio
from starlette.requests import Request
from starlette.responses import Response

from functions.persist.busts import BustWriter
from functions.persist.feeds import FeedWriter
from functions.persist.group_commit import GroupCommit
from functions.persist.handler import STAGE, Persist
from functions.persist.maintenance import Maintenance
from functions.persist.patterns import PatternWriter
from functions.persist.quotes import QuotesStore, QuoteWriter
from functions.persist.row_retention import RowRetention, maintain
from functions.persist.tick_writer import TickWriter
from functions.persist.writer import Writer
from shared.adapter.delegated import Delegated
from shared.adapter.wiring import event_app
from shared.lake.cold import Cold
from shared.lake.maintenance_process import Rounds
from shared.lake.retention_settings import Terms
from shared.runtime.settings import Environment
from shared.stores.limits import INGEST, MAINTENANCE, Limits
from shared.stores.postgres import Postgres
from shared.stores.s3 import S3Access

WAITING_TOGETHER = 24
"""Events that wait for their group (maxAckPending of the trigger), and room for the clock."""


@dataclass(frozen=True)
class Settings:
    """Settings of persist, from its environment."""

    database_url: str = field(repr=False)
    limits: Limits
    writers: int
    group_s: float
    quotes_store: QuotesStore
    rows: RowRetention
    s3: S3Access = field(repr=False)
    terms: Terms

    @classmethod
    def from_env(cls, mapping: Mapping[str, str]) -> Settings:
        """Read and check. Raises SettingsError."""
        env = Environment(mapping)
        settings = cls(
            database_url=env.text("DB_WRITE_DSN", "") or env.text("DATABASE_URL"),
            limits=INGEST.from_env(env),
            writers=env.integer("WRITERS", 4, 1, 64),
            group_s=env.integer("GROUP_COMMIT_MS", 200, 0, 5_000) / 1000,
            quotes_store=env.parsed("QUOTES_STORE", "latest", QuotesStore),
            rows=RowRetention.from_env(env),
            s3=S3Access.from_mapping(mapping),
            terms=Terms.from_env(env),
        )
        env.check()
        return settings


settings = Settings.from_env(os.environ)
postgres = Postgres(settings.database_url, size=settings.writers + 2, limits=settings.limits)
maintenance = Postgres(settings.database_url, size=3, limits=MAINTENANCE)
tasks: list[Callable[[], None]] = [
    Maintenance(lambda: maintain(maintenance, settings.rows, time.time_ns() // 1000)),
    Maintenance(BustWriter(maintenance, Cold(settings.s3)).retry, each_s=1.0),
]
if settings.s3.endpoint:
    tasks.append(Rounds(postgres, settings.terms))
app = event_app(
    STAGE,
    Persist(
        GroupCommit(TickWriter(postgres), settings.group_s),
        Writer(postgres),
        PatternWriter(postgres),
        FeedWriter(postgres),
        QuoteWriter(postgres, settings.quotes_store),
        BustWriter(postgres),
        tasks,
    ),
    os.environ,
    concurrency=WAITING_TOGETHER,
    ready=postgres.check,
)


@functions_framework.aio.http
async def persist(request: Request) -> Response:
    """Answer one request: an event, a probe or a scrape."""
    return Delegated(app)
