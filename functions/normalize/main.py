"""normalize: raw batches in, exact columnar tick batches and rejects out."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field

import functions_framework.aio
from starlette.requests import Request
from starlette.responses import Response

from functions.normalize.handler import Normalize
from functions.normalize.mid import QuotesAsTicks
from shared.adapter.delegated import Delegated
from shared.adapter.wiring import event_app
from shared.inputs.clock import ClockRule
from shared.inputs.outgoing import STAGE
from shared.inputs.parsed import BinanceTrades, FeedRules
from shared.inputs.price_rules import PriceRules
from shared.market.instruments import Naming, parse_exceptions, parse_with_venue
from shared.market.shards import DEFAULT_SHARDS, MAX_SHARDS
from shared.realtime.leases import Watched
from shared.runtime.settings import Environment
from shared.stores.redis import connect

LEASES_S = 0.2
"""Timeout of reading the watch leases, so that screens do not hold up ingestion."""


@dataclass(frozen=True)
class Settings:
    """Settings of normalize, from its environment."""

    redis_url: str = field(repr=False)
    max_skew_ms: int
    shards: int
    feeds: FeedRules
    quotes_as_ticks: QuotesAsTicks

    @classmethod
    def from_env(cls, mapping: Mapping[str, str]) -> Settings:
        """Read and check. Raises SettingsError."""
        env = Environment(mapping)
        settings = cls(
            redis_url=env.text("REDIS_URL"),
            max_skew_ms=env.integer("MAX_CLOCK_SKEW_MS", 5_000, 0, 86_400_000),
            shards=env.integer("SHARDS", DEFAULT_SHARDS, 1, MAX_SHARDS),
            feeds=FeedRules(
                Naming(
                    env.parsed("INSTRUMENT_VENUE", "append", parse_with_venue),
                    env.parsed("INSTRUMENT_NAMES", "", parse_exceptions),
                ),
                env.parsed("BINANCE_TRADES", "aggTrade", BinanceTrades),
                env.parsed("PRICE_RULES", "", PriceRules.parse),
            ),
            quotes_as_ticks=env.parsed("QUOTES_AS_TICKS", "none", QuotesAsTicks),
        )
        env.check()
        return settings


settings = Settings.from_env(os.environ)
app = event_app(
    STAGE,
    Normalize(
        ClockRule(settings.max_skew_ms * 1000),
        settings.shards,
        settings.feeds,
        settings.quotes_as_ticks,
        Watched(connect(settings.redis_url, LEASES_S)),
    ),
    os.environ,
    concurrency=8,
    emits=True,
)


@functions_framework.aio.http
async def normalize(request: Request) -> Response:
    """Answer one request: an event, a probe or a scrape."""
    return Delegated(app)
