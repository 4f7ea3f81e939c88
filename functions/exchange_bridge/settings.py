"""What the exchange bridge reads from its environment: the feed, its exchange, its patience."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple
from urllib.parse import urlsplit

from functions.exchange_bridge.connections.connection import Patience
from functions.exchange_bridge.exchange import Exchange
from functions.exchange_bridge.exchanges import alpaca, binance, coinbase, kraken
from functions.exchange_bridge.exchanges.ccxt_client import NoVenueError
from functions.exchange_bridge.exchanges.ccxt_joined import JoinedVenue
from functions.exchange_bridge.exchanges.ccxt_venue import CcxtVenue
from functions.exchange_bridge.exchanges.ccxt_venues import JOINED
from functions.exchange_bridge.exchanges.scanner import Scanner
from functions.exchange_bridge.rest import Rest
from shared.market.instruments import Naming, parse_exceptions, parse_with_venue
from shared.realtime.watchlist import SCANNER_PREFIX
from shared.runtime.settings import Environment, SettingsError
from shared.sources.batcher import Limits

_LOOPBACK: Final = ("127.0.0.1", "localhost", "::1")


class MetricsAddress(NamedTuple):
    """Where the metrics of a process are served."""

    host: str
    port: int

    @classmethod
    def read(cls, env: Environment) -> MetricsAddress:
        """Read it; `env.check()` says what is wrong."""
        port = env.integer("METRICS_PORT", 9090, 1, 65_535)
        return cls(env.text("METRICS_HOST", "127.0.0.1"), port)


@dataclass(frozen=True)
class Settings:
    """Of one feed."""

    exchange: Exchange
    rest: Rest
    naming: Naming
    patience: Patience
    batch: Limits
    metrics_host: str
    metrics_port: int
    buffer_bytes: int
    drain_s: int
    quiet_us: int
    report_s: float
    listing_s: float
    gap_grace_s: float
    longest_pause_s: float
    max_message_bytes: int
    backfill_most: int
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
        exchange, rest = setup(env)
        metrics = MetricsAddress.read(env)
        settings = cls(
            exchange=exchange,
            rest=rest,
            naming=Naming(
                env.parsed("INSTRUMENT_VENUE", "append", parse_with_venue),
                env.parsed("INSTRUMENT_NAMES", "", parse_exceptions),
            ),
            patience=Patience(
                connect_s=env.integer("CONNECT_TIMEOUT_MS", 5_000, 100, 60_000) / 1000,
                stall_s=env.integer("STALL_MS", 10_000, 100, 3_600_000) / 1000,
            ),
            batch=Limits(age_us=env.integer("BATCH_MS", 5, 1, 10_000) * 1000),
            metrics_host=metrics.host,
            metrics_port=metrics.port,
            buffer_bytes=env.integer("BUFFER_BYTES", 64 * 1024 * 1024, 64 * 1024, 1 << 40),
            drain_s=env.integer("DRAIN_S", 8, 0, 3_600),
            quiet_us=env.integer("QUIET_MS", 30_000, 100, 86_400_000) * 1000,
            report_s=env.integer("REPORT_MS", 3_000, 100, 10_000) / 1000,
            listing_s=env.integer("LISTING_MS", 60_000, 100, 86_400_000) / 1000,
            gap_grace_s=env.integer("GAP_GRACE_MS", 1_000, 0, 600_000) / 1000,
            longest_pause_s=env.integer("RECONNECT_MAX_MS", 2_500, 100, 600_000) / 1000,
            max_message_bytes=env.integer("MAX_MESSAGE_BYTES", 1 << 20, 1024, 1 << 26),
            backfill_most=env.integer("BACKFILL_MAX_TRADES", 1_000_000, 0, 1 << 40),
            history_us=env.integer("HISTORY_S", 172_800, 0, 10 * 366 * 86_400) * 1_000_000,
            stock_list_key=env.text("STOCK_LIST_KEY", SCANNER_PREFIX),
            database_url=env.text("DATABASE_URL", ""),
            redis_url=env.text("REDIS_URL", ""),
        )
        env.check()
        return settings


Setup = Callable[[Environment], tuple[Exchange, Rest]]


def _binance(env: Environment) -> tuple[Exchange, Rest]:
    base = env.parsed("BINANCE_WEBSOCKET_BASE_URL", "wss://stream.binance.com:9443", _ws_url)
    symbols = env.parsed("BINANCE_SYMBOLS", "BTCUSDT,ETHUSDT", _symbols)
    trades = env.parsed("BINANCE_TRADES", binance.AGGREGATES, _binance_trades)
    life_s = env.integer("CONNECTION_LIFE_S", 23 * 3_600, 0, 24 * 3_600)
    key = env.text("BINANCE_API_KEY", "")
    headers = {"X-MBX-APIKEY": key} if key else {}
    rest = env.parsed("BINANCE_REST_BASE_URL", "https://api.binance.com", _http_url)
    return (
        binance.Binance(base, symbols, trades, life_s),
        Rest("binance", rest, binance.SPACING_S, headers),
    )


def _coinbase(env: Environment) -> tuple[Exchange, Rest]:
    url = env.parsed("COINBASE_WEBSOCKET_BASE_URL", "wss://ws-feed.exchange.coinbase.com", _ws_url)
    symbols = env.parsed("COINBASE_SYMBOLS", "BTC-USD,ETH-USD", _symbols)
    rest = env.parsed("COINBASE_REST_BASE_URL", "https://api.exchange.coinbase.com", _http_url)
    return coinbase.Coinbase(url, symbols), Rest("coinbase", rest, coinbase.SPACING_S)


def _kraken(env: Environment) -> tuple[Exchange, Rest]:
    base = env.parsed("KRAKEN_WEBSOCKET_BASE_URL", "wss://ws.kraken.com", _ws_url)
    symbols = env.parsed("KRAKEN_SYMBOLS", "BTC/USD,ETH/USD", _symbols)
    rest = env.parsed("KRAKEN_REST_BASE_URL", "https://api.kraken.com", _http_url)
    return kraken.Kraken(base, symbols), Rest("kraken", rest, kraken.SPACING_S)


def _alpaca(env: Environment) -> tuple[Exchange, Rest]:
    base = env.parsed("ALPACA_WEBSOCKET_BASE_URL", "wss://stream.data.alpaca.markets", _safe_ws_url)
    symbols = env.parsed("ALPACA_SYMBOLS", "AAPL,MSFT", _symbols)
    source = env.parsed("ALPACA_SOURCE", "iex", _alpaca_source)
    key_id, secret = env.secret("ALPACA_KEY_ID"), env.secret("ALPACA_SECRET_KEY")
    credentials = alpaca.Credentials(key_id, secret)
    rest = env.parsed("ALPACA_REST_BASE_URL", "https://data.alpaca.markets", _safe_http_url)
    is_paper = key_id.startswith("PK")
    trading = "https://paper-api.alpaca.markets" if is_paper else "https://api.alpaca.markets"
    trading = env.parsed("ALPACA_TRADING_BASE_URL", trading, _safe_http_url)
    return (
        alpaca.Alpaca(base, trading, symbols, source, credentials),
        Rest("alpaca", rest, alpaca.SPACING_S, credentials.headers),
    )


def _ccxt(env: Environment) -> tuple[Exchange, Rest]:
    name = env.parsed("CCXT_VENUE", "bybit", _venue)
    symbols = env.parsed("CCXT_SYMBOLS", "BTC/USDT,ETH/USDT", _symbols)
    rest = env.parsed("CCXT_REST_BASE_URL", "", lambda text: text and _http_url(text))
    websocket = env.parsed("CCXT_WEBSOCKET_BASE_URL", "", lambda text: text and _ws_url(text))
    try:
        of = JoinedVenue if name in JOINED else CcxtVenue
        venue = of(name, symbols, rest, websocket)
    except NoVenueError as error:
        raise SettingsError(f"CCXT_VENUE: {error}") from error
    return venue, venue.client


def _venue(text: str) -> str:
    if re.fullmatch(r"[a-z][a-z0-9]*", text) is None:
        raise ValueError(f"{text!r} is no name of a venue, such as bybit")
    return text


def _scanner(env: Environment) -> tuple[Exchange, Rest]:
    environment = env.text("ENVIRONMENT", "development")
    check = _ws_url if environment != "production" else _safe_ws_url
    url = env.parsed("WEBSOCKET_URL", "ws://127.0.0.1:8765", check)
    return Scanner(url), Rest("scanner", "http://127.0.0.1", 1.0)


SETUPS: Final[Mapping[str, Setup]] = {
    "binance": _binance,
    "coinbase": _coinbase,
    "kraken": _kraken,
    "alpaca": _alpaca,
    "scanner": _scanner,
    "ccxt": _ccxt,
}
"""By the name of the feed: one that is added is named here, and in FEEDS of feed_status."""


def _exchange(name: str) -> Setup:
    if name not in SETUPS:
        raise ValueError(f"{name!r} is none of {', '.join(SETUPS)}")
    return SETUPS[name]


def _symbols(text: str) -> tuple[str, ...]:
    symbols = tuple(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))
    if not symbols or not all(part.isprintable() and len(part) <= 64 for part in symbols):
        raise ValueError(f"{text!r} must be symbols separated by commas")
    return symbols


def _binance_trades(text: str) -> str:
    if text not in (binance.AGGREGATES, binance.TRADES):
        raise ValueError(f"{text!r} must be {binance.AGGREGATES} or {binance.TRADES}")
    return text


def _alpaca_source(text: str) -> str:
    if text not in alpaca.SOURCES:
        raise ValueError(f"{text!r} must be one of {', '.join(alpaca.SOURCES)}")
    return text


def _url(text: str, schemes: tuple[str, str]) -> str:
    parts = urlsplit(text)
    if parts.scheme not in schemes or not parts.hostname:
        raise ValueError(f"{text!r} is no URL that begins with {schemes[0]}:// or {schemes[1]}://")
    return text


def _ws_url(text: str) -> str:
    return _url(text, ("wss", "ws"))


def _encrypted(text: str, scheme: str) -> str:
    parts = urlsplit(text)
    if parts.scheme != scheme and parts.hostname not in _LOOPBACK:
        raise ValueError(f"{text!r} is not encrypted: it must begin with {scheme}://")
    return text


def _safe_ws_url(text: str) -> str:
    return _encrypted(_ws_url(text), "wss")


def _http_url(text: str) -> str:
    return _url(text, ("https", "http"))


def _safe_http_url(text: str) -> str:
    return _encrypted(_http_url(text), "https")
