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
from shared.adapter.app import Delegated
from shared.adapter.wiring import event_app
from shared.settings import Environment
from shared.stores.postgres import Postgres


@dataclass(frozen=True)
class Settings:
    """What persist reads from its environment."""

    database_url: str = field(repr=False)
    writers: int
    quotes_store: QuotesStore

    @classmethod
    def from_env(cls, mapping: Mapping[str, str]) -> Settings:
        """Read and check. Raises SettingsError."""
        env = Environment(mapping)
        settings = cls(
            database_url=env.text("DATABASE_URL"),
            writers=env.integer("WRITERS", 4, 1, 64),
            quotes_store=env.parsed("QUOTES_STORE", "latest", QuotesStore),
        )
        env.check()
        return settings


settings = Settings.from_env(os.environ)
postgres = Postgres(settings.database_url, size=settings.writers + 1)
app = event_app(
    STAGE,
    Persist(
        Writer(postgres),
        PatternWriter(postgres),
        FeedWriter(postgres),
        QuoteWriter(postgres, settings.quotes_store),
    ),
    os.environ,
    concurrency=settings.writers,
    ready=postgres.check,
)


@functions_framework.aio.http
async def persist(request: Request) -> Response:
    """Answer one request: an event, a probe or a scrape."""
    return Delegated(app)
