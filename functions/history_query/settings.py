"""Settings of history-query, from its environment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from shared.market.shards import DEFAULT_SHARDS, MAX_SHARDS
from shared.market.timeframes import DEFAULT_LADDER, Timeframe, parse_ladder
from shared.runtime.settings import Environment
from shared.stores.limits import QUERY, Limits
from shared.stores.s3 import S3Access


@dataclass(frozen=True)
class Settings:
    """Settings of history-query, from its environment."""

    redis_url: str = field(repr=False)
    replica_url: str = field(repr=False)
    database_url: str = field(repr=False)
    connections: int
    limits: Limits
    ladder: tuple[Timeframe, ...]
    shards: int
    allowed_lateness_us: int
    s3: S3Access = field(repr=False)
    cold_scans: int
    notify_url: str

    @classmethod
    def from_env(cls, mapping: Mapping[str, str]) -> Settings:
        """Read and check. Raises SettingsError."""
        env = Environment(mapping)
        settings = cls(
            redis_url=env.text("REDIS_URL"),
            replica_url=env.text("DB_READ_DSN", ""),
            database_url=env.text("DB_READ_DSN", "") or env.text("DATABASE_URL"),
            connections=env.integer("DB_READERS", 8, 1, 256),
            limits=QUERY.from_env(env),
            ladder=env.parsed("TIMEFRAMES", DEFAULT_LADDER, parse_ladder),
            shards=env.integer("SHARDS", DEFAULT_SHARDS, 1, MAX_SHARDS),
            allowed_lateness_us=env.integer("ALLOWED_LATENESS_MS", 2_000, 0, 3_600_000) * 1000,
            s3=S3Access.from_mapping(mapping),
            cold_scans=env.integer("COLD_SCANS", 2, 1, 64),
            notify_url=env.text("NOTIFY_URL", ""),
        )
        env.check()
        return settings
