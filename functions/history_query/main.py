"""history-query: the history API over Postgres and Redis."""

from __future__ import annotations

import os

import functions_framework.aio
from starlette.requests import Request
from starlette.responses import Response

from functions.history_query.alerts import AlertPages
from functions.history_query.bars import BarPages
from functions.history_query.candles import CandlePages
from functions.history_query.feeds import Feeds
from functions.history_query.flow import Flow
from functions.history_query.kept import KeptCandles
from functions.history_query.latest import LatestTrades
from functions.history_query.latest_quotes import LatestQuotes
from functions.history_query.outcomes import Outcomes
from functions.history_query.overview import Overview
from functions.history_query.page import OPEN_PATHS
from functions.history_query.patterns import PatternPages
from functions.history_query.prices import PricePages
from functions.history_query.routes import api
from functions.history_query.settings import Settings
from functions.history_query.symbols import Symbols
from functions.history_query.tick_slices import TickSlices
from functions.history_query.ticks import TickPages
from functions.history_query.topics import (
    alerts,
    bars,
    candles,
    feeds,
    flow,
    indicators,
    latest,
    overview,
    patterns,
    prices,
    symbols,
    ticks,
)
from shared.adapter.access import guarded
from shared.adapter.delegated import Delegated
from shared.adapter.logs import configure_logging
from shared.lake.cold import Cold
from shared.live_state import LiveState
from shared.memory import hand_freed_memory_back
from shared.stores.postgres import Postgres
from shared.stores.redis import connect, translated

configure_logging(os.environ)
hand_freed_memory_back()
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
live = LiveState(client, settings.shards, settings.ladder)
kept = KeptCandles(postgres, live, cold)
trades = LatestTrades(live)
slices = TickSlices(postgres, cold)
pages = CandlePages(kept, slices, settings.ladder, settings.allowed_lateness_us)
app = api(
    [
        bars.answers(BarPages(slices, postgres, settings.allowed_lateness_us), pages.knows),
        candles.answers(pages),
        flow.answers(Flow(pages), pages.knows),
        prices.answers(PricePages(slices), pages.knows),
        indicators.answers(),
        latest.answers(trades, LatestQuotes(postgres)),
        overview.answers(Overview(postgres, live, trades, LatestQuotes(postgres))),
        ticks.answers(TickPages(slices), pages.knows),
        symbols.answers(Symbols(postgres, live)),
        feeds.answers(Feeds(postgres)),
        patterns.answers(Outcomes(pages, PatternPages(postgres))),
        alerts.answers(AlertPages(postgres), pages.knows),
    ],
    ready,
)
guarded_app = guarded(app, os.environ, open_paths=OPEN_PATHS)


@functions_framework.aio.http
async def history_query(request: Request) -> Response:
    """Answer one request."""
    return Delegated(guarded_app)
