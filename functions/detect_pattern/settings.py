"""Settings of detect-pattern, from its environment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from functions.detect_pattern.detection import Detection
from shared.analysis.anomalies import AnomalySettings
from shared.analysis.detectors.settings import DetectorSettings
from shared.market.shards import DEFAULT_SHARDS, MAX_SHARDS
from shared.realtime.watchlist import SCANNER_PREFIX
from shared.runtime.settings import Environment


@dataclass(frozen=True)
class Settings:
    """`watch`: all, or watchlist. `alert_hosts`: hosts that alerts may go to; empty: any."""

    redis_url: str = field(repr=False)
    database_url: str = field(repr=False)
    shards: int
    detection: Detection
    cooldown_us: int
    grace_ms: int
    unused_ms: int
    watch: str
    scanner_prefix: str
    alert_hosts: frozenset[str]

    @classmethod
    def from_env(cls, mapping: Mapping[str, str]) -> Settings:
        """Read and check. Raises SettingsError."""
        env = Environment(mapping)
        settings = cls(
            redis_url=env.text("REDIS_URL"),
            database_url=env.text("DATABASE_URL"),
            shards=env.integer("SHARDS", DEFAULT_SHARDS, 1, MAX_SHARDS),
            detection=Detection(DetectorSettings.read(env), AnomalySettings.read(env)),
            cooldown_us=env.integer("PATTERN_COOLDOWN_S", 300, 0, 86_400) * 1_000_000,
            grace_ms=env.integer("PATTERN_GAP_GRACE_MS", 3_000, 0, 3_600_000),
            unused_ms=env.integer("KEEP_INSTRUMENTS_D", 90, 0, 100_000) * 86_400_000,
            watch=env.parsed("PATTERN_WATCH", "all", _watch),
            scanner_prefix=env.text("STOCK_LIST_KEY", SCANNER_PREFIX).removesuffix("*"),
            alert_hosts=env.parsed("ALERT_HOSTS", "", _names),
        )
        env.check()
        return settings


def _names(text: str) -> frozenset[str]:
    return frozenset(name.strip() for name in text.split(",") if name.strip())


def _watch(text: str) -> str:
    if text not in ("all", "watchlist"):
        raise ValueError(f"{text!r} is neither all nor watchlist")
    return text
