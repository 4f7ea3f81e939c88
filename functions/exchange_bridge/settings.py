"""Settings of the exchange bridge: feed, exchange and timeouts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

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
from shared.inputs.columns.parsed import naming
from shared.realtime.watchlist import SCANNER_PREFIX
from shared.runtime.settings import Environment, FromEnvironment, integer, ms_to_s, nested, text
from shared.sources.batcher import Limits

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


def _setup(name: str) -> Setup:
    if name not in SETUPS:
        raise ValueError(f"{name!r} is none of {', '.join(SETUPS)}")
    return SETUPS[name]


def _exchange(env: Environment) -> Exchange:
    """Read the feed's own settings, and how its symbols are named."""
    exchange = env.parsed("FEED", "binance", _setup)(env)
    exchange.naming = naming(env)
    return exchange


@dataclass(frozen=True, kw_only=True)
class Settings(FromEnvironment):
    """Settings of one feed."""

    sink: str = text("K_SINK")
    exchange: Exchange = nested(_exchange)
    timeouts: Timeouts = nested(Timeouts.read)
    batch: Limits = integer(
        "BATCH_MS", 5, 1, 10_000, times=1000, to=lambda age_us: Limits(age_us=age_us)
    )
    metrics_host: str = text("METRICS_HOST", "127.0.0.1")
    metrics_port: int = integer("METRICS_PORT", 9090, 1, 65_535)
    buffer_bytes: int = integer("BUFFER_BYTES", 64 * 1024 * 1024, 64 * 1024, 1 << 40)
    drain_s: int = integer("DRAIN_S", 8, 0, 3_600)
    quiet_us: int = integer("QUIET_MS", 30_000, 100, 86_400_000, times=1000)
    report_s: float = integer("REPORT_MS", 3_000, 100, 10_000, to=ms_to_s)
    listing_s: float = integer("LISTING_MS", 60_000, 100, 86_400_000, to=ms_to_s)
    gap_grace_s: float = integer("GAP_GRACE_MS", 1_000, 0, 600_000, to=ms_to_s)
    longest_pause_s: float = integer("RECONNECT_MAX_MS", 2_500, 100, 600_000, to=ms_to_s)
    max_message_bytes: int = integer("MAX_MESSAGE_BYTES", 1 << 20, 1024, 1 << 26)
    backfill_max: int = integer("BACKFILL_MAX_TRADES", 1_000_000, 0, 1 << 40)
    history_us: int = integer("HISTORY_S", 172_800, 0, 10 * 366 * 86_400, times=1_000_000)
    stock_list_key: str = text("STOCK_LIST_KEY", SCANNER_PREFIX)
    database_url: str = text("DATABASE_URL", "")
    redis_url: str = text("REDIS_URL", "")
