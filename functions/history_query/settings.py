"""Settings of history-query, from its environment."""

from __future__ import annotations

from dataclasses import dataclass

from shared.market.shards import DEFAULT_SHARDS, MAX_SHARDS
from shared.market.timeframes import DEFAULT_LADDER, Timeframe, parse_ladder
from shared.runtime.settings import FromEnvironment, integer, nested, parsed, text
from shared.stores.limits import QUERY, Limits
from shared.stores.s3 import S3Access


@dataclass(frozen=True, kw_only=True)
class Settings(FromEnvironment):
    """Settings of history-query, from its environment."""

    redis_url: str = text("REDIS_URL")
    replica_url: str = text("DB_READ_DSN", "")
    database_url: str = text("DATABASE_URL", overridden_by="DB_READ_DSN")
    connections: int = integer("DB_READERS", 8, 1, 256)
    limits: Limits = nested(QUERY.read)
    ladder: tuple[Timeframe, ...] = parsed("TIMEFRAMES", DEFAULT_LADDER, parse_ladder)
    shards: int = integer("SHARDS", DEFAULT_SHARDS, 1, MAX_SHARDS)
    allowed_lateness_us: int = integer("ALLOWED_LATENESS_MS", 2_000, 0, 3_600_000, times=1000)
    s3: S3Access = nested(S3Access.read)
    cold_scans: int = integer("COLD_SCANS", 2, 1, 64)
    notify_url: str = text("NOTIFY_URL", "")
