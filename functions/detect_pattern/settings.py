"""Settings of detect-pattern, from its environment."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from functions.detect_pattern.detection import Detection
from shared.market.shards import DEFAULT_SHARDS, MAX_SHARDS
from shared.realtime.watchlist import SCANNER_PREFIX
from shared.runtime.settings import FromEnvironment, integer, listed, nested, parsed, text
from shared.stores.s3 import S3Access


def _watch(text: str) -> str:
    if text not in ("all", "watchlist"):
        raise ValueError(f"{text!r} is neither all nor watchlist")
    return text


@dataclass(frozen=True, kw_only=True)
class Settings(FromEnvironment):
    """`watch`: all, or watchlist. `alert_hosts`: hosts that alerts may go to; empty: any."""

    redis_url: str = text("REDIS_URL")
    database_url: str = text("DATABASE_URL")
    s3: S3Access = nested(S3Access.read)
    shards: int = integer("SHARDS", DEFAULT_SHARDS, 1, MAX_SHARDS)
    detection: Detection = nested(Detection.read)
    cooldown_us: int = integer("PATTERN_COOLDOWN_S", 300, 0, 86_400, times=1_000_000)
    grace_ms: int = integer("PATTERN_GAP_GRACE_MS", 3_000, 0, 3_600_000)
    unused_ms: int = integer("KEEP_INSTRUMENTS_D", 90, 0, 100_000, times=86_400_000)
    watch: str = parsed("PATTERN_WATCH", "all", _watch)
    scanner_prefix: str = parsed(
        "STOCK_LIST_KEY", SCANNER_PREFIX, lambda key: key.removesuffix("*")
    )
    alert_hosts: Collection[str] = parsed("ALERT_HOSTS", "", listed)
