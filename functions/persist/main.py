"""persist: ticks, quotes, busts, rejects and closed candles into Postgres, each exactly once."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass

from functions.persist.busts import BustWriter
from functions.persist.feeds import FeedWriter
from functions.persist.group_commit import grouped
from functions.persist.handler import STAGE, Persist
from functions.persist.maintenance import Maintenance
from functions.persist.patterns import PatternWriter
from functions.persist.quotes import QuotesStore, QuoteWriter
from functions.persist.row_retention import RowRetention, maintain
from functions.persist.tick_writer import TickWriter
from functions.persist.writer import Writer
from shared.adapter.delegated import served
from shared.adapter.wiring import event_app
from shared.lake.maintenance.process import Rounds
from shared.lake.maintenance.settings import Terms
from shared.lake.reading.cold import Cold
from shared.runtime.settings import FromEnvironment, integer, ms_to_s, nested, parsed, text
from shared.stores.limits import INGEST, MAINTENANCE, Limits
from shared.stores.postgres import Postgres
from shared.stores.s3 import S3Access

WAITING_TOGETHER = 24
"""Events that wait for their group (maxAckPending of the trigger), and room for the clock."""


@dataclass(frozen=True, kw_only=True)
class Settings(FromEnvironment):
    """Settings of persist, from its environment."""

    database_url: str = text("DATABASE_URL", overridden_by="DB_WRITE_DSN")
    limits: Limits = nested(INGEST.read)
    writers: int = integer("WRITERS", 4, 1, 64)
    group_s: float = integer("GROUP_COMMIT_MS", 200, 0, 5_000, to=ms_to_s)
    quotes_store: QuotesStore = parsed("QUOTES_STORE", "latest", QuotesStore)
    rows: RowRetention = nested(RowRetention.read)
    s3: S3Access = nested(S3Access.read)
    terms: Terms = nested(Terms.read)


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
        grouped(TickWriter(postgres), settings.group_s),
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
persist = served("persist", app)
