"""persist: ticks, quotes, rejects and closed candles into Postgres, each exactly once."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field

import functions_framework.aio
from starlette.requests import Request
from starlette.responses import Response

from functions.persist.feeds import FeedWriter
from functions.persist.handler import STAGE, Persist
from functions.persist.patterns import PatternWriter
from functions.persist.quotes import QuotesStore, QuoteWriter
from functions.persist.writer import Writer
from shared.adapter.delegated import Delegated
from shared.adapter.wiring import event_app
from shared.lake.rounds import Rounds
from shared.lake.terms import Terms
from shared.settings import Environment
from shared.stores.limits import INGEST, Limits
from shared.stores.postgres import Postgres
from shared.stores.s3_reader import S3Access


@dataclass(frozen=True)
class Settings:
    """What persist reads from its environment."""

    database_url: str = field(repr=False)
    limits: Limits
    writers: int
    quotes_store: QuotesStore
    keep_quotes_d: int
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
            quotes_store=env.parsed("QUOTES_STORE", "latest", QuotesStore),
            keep_quotes_d=env.integer("KEEP_QUOTES_D", 0, 0, 1_000_000),
            s3=S3Access.from_mapping(mapping),
            terms=Terms.from_env(env),
        )
        env.check()
        return settings


settings = Settings.from_env(os.environ)
postgres = Postgres(settings.database_url, size=settings.writers + 2, limits=settings.limits)
rounds = Rounds(postgres, settings.terms) if settings.s3.endpoint else None
app = event_app(
    STAGE,
    Persist(
        Writer(postgres),
        PatternWriter(postgres),
        FeedWriter(postgres),
        QuoteWriter(postgres, settings.quotes_store, settings.keep_quotes_d),
        rounds,
    ),
    os.environ,
    concurrency=settings.writers + 1,  # the clock is answered beside the writing
    ready=postgres.check,
)


@functions_framework.aio.http
async def persist(request: Request) -> Response:
    """Answer one request: an event, a probe or a scrape."""
    return Delegated(app)
