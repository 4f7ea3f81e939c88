"""normalize: raw batches in, exact columnar tick batches and rejects out."""

from __future__ import annotations

import os
from dataclasses import dataclass

from functions.normalize.handler import Normalize
from functions.normalize.mid import QuotesAsTicks
from shared.adapter.delegated import served
from shared.adapter.wiring import event_app
from shared.inputs.clock import ClockRule
from shared.inputs.columns.parsed import FeedRules
from shared.inputs.outgoing import STAGE
from shared.market.shards import DEFAULT_SHARDS, MAX_SHARDS
from shared.realtime.leases import Watched
from shared.runtime.settings import FromEnvironment, integer, nested, parsed, text
from shared.stores.redis import connect

LEASES_S = 0.2
"""Timeout of reading the watch leases, so that screens do not hold up ingestion."""

INLINE_BYTES = 65_536
"""Some 1,500 lines, which take 2 ms: a worker thread may wait longer for the interpreter's lock."""


@dataclass(frozen=True, kw_only=True)
class Settings(FromEnvironment):
    """Settings of normalize, from its environment."""

    redis_url: str = text("REDIS_URL")
    clock: ClockRule = integer("MAX_CLOCK_SKEW_MS", 5_000, 0, 86_400_000, times=1000, to=ClockRule)
    shards: int = integer("SHARDS", DEFAULT_SHARDS, 1, MAX_SHARDS)
    feeds: FeedRules = nested(FeedRules.read)
    quotes_as_ticks: QuotesAsTicks = parsed("QUOTES_AS_TICKS", "none", QuotesAsTicks)


settings = Settings.from_env(os.environ)
app = event_app(
    STAGE,
    Normalize(
        settings.clock,
        settings.shards,
        settings.feeds,
        settings.quotes_as_ticks,
        Watched(connect(settings.redis_url, LEASES_S)),
    ),
    os.environ,
    concurrency=4,
    inline_bytes=INLINE_BYTES,
    emits=True,
)
normalize = served("normalize", app)
