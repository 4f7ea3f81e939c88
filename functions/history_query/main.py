"""history-query: the history API over Postgres and Redis."""

from __future__ import annotations

import os

from functions.history_query.api.reference import OPEN_PATHS
from functions.history_query.queries.indicator_list import entries
from functions.history_query.settings import Settings
from functions.history_query.warm_up import WarmUp
from functions.history_query.wiring import history_api
from shared.adapter.access import guarded
from shared.adapter.delegated import served
from shared.adapter.logs import configure_logging
from shared.lake.reading.cold import Cold
from shared.realtime.readers import LiveState
from shared.runtime.memory import hand_freed_memory_back, leave_dataframes_out
from shared.stores.postgres import Postgres
from shared.stores.redis import connect, translated

configure_logging(os.environ)
hand_freed_memory_back()
leave_dataframes_out()
settings = Settings.from_env(os.environ)
client = connect(settings.redis_url)
postgres = Postgres(
    settings.database_url,
    size=settings.connections,
    limits=settings.limits,
    migrates=not settings.replica_url,
)


def ready() -> None:
    """Raise TransientError while a store is away."""
    postgres.check()
    with translated():
        client.ping()


cold = Cold(settings.s3, scans=settings.cold_scans)
app = history_api(
    postgres,
    LiveState(client, settings.shards, settings.ladder),
    cold,
    settings.ladder,
    settings.allowed_lateness_us,
    WarmUp(ready, entries, cold.load),
    only_reads=bool(settings.replica_url),
    notify_url=settings.notify_url,
)
guarded_app = guarded(app, os.environ, open_paths=OPEN_PATHS)
history_query = served("history_query", guarded_app)
