"""Settings of the exchange bridge: feed, exchange and timeouts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from functions.exchange_bridge.connections.connection import Timeouts
from functions.exchange_bridge.exchange import Exchange
from functions.exchange_bridge.exchanges import (
    alpaca,
    binance,
    ccxt_feed,
    coinbase,
    kraken,
    scanner,
)
from shared.market.instruments import Naming, parse_exceptions, parse_with_venue
from shared.realtime.watchlist import SCANNER_PREFIX
from shared.runtime.settings import Environment
from shared.sources.batcher import Limits


class MetricsAddress(NamedTuple):
    """Address of the metrics endpoint."""

    host: str
    port: int

    @classmethod
    def read(cls, env: Environment) -> MetricsAddress:
        """Read it; `env.check()` reports errors."""
        port = env.integer("METRICS_PORT", 9090, 1, 65_535)
        return cls(env.text("METRICS_HOST", "127.0.0.1"), port)


@dataclass(frozen=True)
class Settings:
    """Settings of one feed."""

    exchange: Exchange
    timeouts: Timeouts
    batch: Limits
    metrics: MetricsAddress
    buffer_bytes: int
    drain_s: int
    quiet_us: int
    report_s: float
    listing_s: float
    gap_grace_s: float
    longest_pause_s: float
    max_message_bytes: int
    backfill_max: int
    history_us: int
    stock_list_key: str
    database_url: str = field(repr=False)
    redis_url: str = field(repr=False)

    @classmethod
    def from_env(cls, mapping: Mapping[str, str]) -> Settings:
        """Read and check. Raises SettingsError."""
        env = Environment(mapping)
        env.text("K_SINK")
        setup = env.parsed("FEED", "binance", _exchange)
        exchange = setup(env)
        exchange.naming = Naming(
            env.parsed("INSTRUMENT_VENUE", "append", parse_with_venue),
            env.parsed("INSTRUMENT_NAMES", "", parse_exceptions),
        )
        metrics = MetricsAddress.read(env)
        settings = cls(
            exchange=exchange,
            timeouts=Timeouts(
                connect_s=env.integer("CONNECT_TIMEOUT_MS", 5_000, 100, 60_000) / 1000,
                stall_s=env.integer("STALL_MS", 10_000, 100, 3_600_000) / 1000,
            ),
            batch=Limits(age_us=env.integer("BATCH_MS", 5, 1, 10_000) * 1000),
            metrics=metrics,
            buffer_bytes=env.integer("BUFFER_BYTES", 64 * 1024 * 1024, 64 * 1024, 1 << 40),
            drain_s=env.integer("DRAIN_S", 8, 0, 3_600),
            quiet_us=env.integer("QUIET_MS", 30_000, 100, 86_400_000) * 1000,
            report_s=env.integer("REPORT_MS", 3_000, 100, 10_000) / 1000,
            listing_s=env.integer("LISTING_MS", 60_000, 100, 86_400_000) / 1000,
            gap_grace_s=env.integer("GAP_GRACE_MS", 1_000, 0, 600_000) / 1000,
            longest_pause_s=env.integer("RECONNECT_MAX_MS", 2_500, 100, 600_000) / 1000,
            max_message_bytes=env.integer("MAX_MESSAGE_BYTES", 1 << 20, 1024, 1 << 26),
            backfill_max=env.integer("BACKFILL_MAX_TRADES", 1_000_000, 0, 1 << 40),
            history_us=env.integer("HISTORY_S", 172_800, 0, 10 * 366 * 86_400) * 1_000_000,
            stock_list_key=env.text("STOCK_LIST_KEY", SCANNER_PREFIX),
            database_url=env.text("DATABASE_URL", ""),
            redis_url=env.text("REDIS_URL", ""),
        )
        env.check()
        return settings


Setup = Callable[[Environment], Exchange]


SETUPS: Final[Mapping[str, Setup]] = {
    "binance": binance.setup,
    "coinbase": coinbase.setup,
    "kraken": kraken.setup,
    "alpaca": alpaca.setup,
    "scanner": scanner.setup,
    "ccxt": ccxt_feed.setup,
}
"""Setup by feed name: a new feed is added here and in FEEDS of feed_status."""


def _exchange(name: str) -> Setup:
    if name not in SETUPS:
        raise ValueError(f"{name!r} is none of {', '.join(SETUPS)}")
    return SETUPS[name]
