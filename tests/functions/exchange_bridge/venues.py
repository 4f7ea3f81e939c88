"""The venues of the bridge's tests, and the trades played there."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from tests.exchanges.binance import BinanceDialect, CcxtBinanceDialect
from tests.exchanges.bybit import CcxtBybitDialect
from tests.exchanges.coinbase import CoinbaseDialect
from tests.exchanges.dialects import Dialect, Trade
from tests.exchanges.kraken import KrakenDialect
from tests.exchanges.playback import Playback

BEGIN_MS = 1_700_000_000_000
EXCHANGES: dict[str, tuple[type[Dialect], str, str]] = {
    "binance": (BinanceDialect, "BTCUSDT", "a"),
    "coinbase": (CoinbaseDialect, "BTC-USD", "trade_id"),
    "kraken": (KrakenDialect, "BTC/USD", "trade_id"),
    "ccxt:binance": (CcxtBinanceDialect, "BTC/USDT", "id"),
}
BY_TIME: dict[str, tuple[type[Dialect], str, str]] = {
    "ccxt:bybit": (CcxtBybitDialect, "BTC/USDT", "id"),
}
"""Whose ids do not count: what is missing is seen by a new connection alone."""
ALL = EXCHANGES | BY_TIME


def eventually(holds: Callable[[], bool], log: Path, within_s: float = 60) -> None:
    deadline = time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.02)


def symbol_of(exchange: Playback) -> str:
    return ALL[exchange.dialect.name][1]


def field_of(exchange: Playback) -> str:
    return ALL[exchange.dialect.name][2]


def trades(exchange: Playback, first: int, count: int, symbol: str = "") -> list[Trade]:
    """A trade every 10 ms."""
    return [
        Trade(
            symbol or symbol_of(exchange),
            number,
            f"{100 + number % 7}.25",
            f"0.{1 + number % 9}",
            BEGIN_MS + number * 10,
            number % 2 == 0,
        )
        for number in range(first, first + count)
    ]
