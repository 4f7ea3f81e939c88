"""udp-bridge: ticks over HTTP (`POST /ingest`). The UDP side is `listener.py`."""

from __future__ import annotations

import os
from dataclasses import dataclass

from starlette.applications import Starlette
from starlette.routing import Route

from functions.udp_bridge.ingest import Ingest
from shared.adapter.access import guarded
from shared.adapter.delegated import served
from shared.adapter.health import bound, health_routes
from shared.adapter.logs import configure_logging
from shared.adapter.sink import Sink
from shared.adapter.tracing import tracing
from shared.inputs.clock import ClockRule
from shared.inputs.columns.parsed import FeedRules
from shared.inputs.price_rules import PriceRules
from shared.runtime.settings import FromEnvironment, integer, parsed
from shared.sources.batcher import new_source


@dataclass(frozen=True)
class Settings(FromEnvironment):
    """Settings of udp-bridge, from its environment."""

    max_bytes: int = integer("INGEST_MAX_BYTES", 384 * 1024, 1024, 450 * 1024)
    clock: ClockRule = integer("MAX_CLOCK_SKEW_MS", 5_000, 0, 86_400_000, times=1000, to=ClockRule)
    rules: FeedRules = parsed(
        "PRICE_RULES", "", lambda text: FeedRules(prices=PriceRules.parse(text))
    )


configure_logging(os.environ)
settings = Settings.from_env(os.environ)
sink = Sink.from_env(os.environ, "/kandle/udp-bridge")
ingest = Ingest(
    sink,
    new_source("http"),
    settings.max_bytes,
    settings.rules,
    settings.clock,
    tracing("udp-bridge", os.environ),
)
app = guarded(
    Starlette(
        routes=[Route("/ingest", ingest.post, methods=["POST"]), *health_routes(bound(sink, None))],
    ),
    os.environ,
)
udp_bridge = served("udp_bridge", app)
