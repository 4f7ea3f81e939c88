"""udp-bridge: ticks over HTTP (`POST /ingest`). The UDP side is `listener.py`."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

import functions_framework.aio
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from functions.udp_bridge.ingest import Ingest
from shared.adapter.access import guarded
from shared.adapter.delegated import Delegated
from shared.adapter.health import bound, health_routes
from shared.adapter.logs import configure_logging
from shared.adapter.sink import Sink
from shared.adapter.tracing import tracing
from shared.inputs.clock import ClockRule
from shared.inputs.parsed import FeedRules
from shared.inputs.price_rules import PriceRules
from shared.runtime.settings import Environment
from shared.sources.batcher import new_source


@dataclass(frozen=True)
class Settings:
    """Settings of udp-bridge, from its environment."""

    max_bytes: int
    rules: FeedRules
    clock: ClockRule

    @classmethod
    def from_env(cls, mapping: Mapping[str, str]) -> Settings:
        """Read and check. Raises SettingsError."""
        env = Environment(mapping)
        settings = cls(
            max_bytes=env.integer("INGEST_MAX_BYTES", 384 * 1024, 1024, 450 * 1024),
            clock=ClockRule(env.integer("MAX_CLOCK_SKEW_MS", 5_000, 0, 86_400_000) * 1000),
            rules=FeedRules(prices=env.parsed("PRICE_RULES", "", PriceRules.parse)),
        )
        env.check()
        return settings


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


@functions_framework.aio.http
async def udp_bridge(request: Request) -> Response:
    """Answer one request."""
    return Delegated(app)
