"""The trades of a proof: recorded ones of a file, or a market made up from a seed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Final

from local.feeds.files.layouts import Choice
from local.feeds.files.opening import Progress
from local.feeds.files.trades import read_trades
from local.feeds.instruments import instrument
from local.feeds.simulator import MAX_STEP_MS, Simulator
from local.feeds.tick import Tick

_SYMBOLS: Final = ("BTC-USD", "ETH-USD", "AAPL", "XRP-ETH")
_RATE: Final = 40.0


def recorded(path: Path, prefix: str) -> Iterator[Tick]:
    """Yield a file's trades under names of their own. Raises FileError."""
    for _, trades in read_trades([path], Choice(), Progress()):
        for tick in trades.ticks():
            yield tick._replace(symbol=f"{prefix}{tick.symbol}")


def generated(count: int, prefix: str, *, seed: int, end_ms: int) -> list[Tick]:
    """Return so many trades, in order of time, the last of them before `end_ms`."""
    start_ms = end_ms - int(count / _RATE * 1000) - 60_000
    instruments = [replace(instrument(name), symbol=f"{prefix}{name}") for name in _SYMBOLS]
    market = Simulator(instruments, seed=seed, start_ms=start_ms, rate=_RATE)
    found: list[Tick] = []
    now_ms = start_ms
    while len(found) < count and now_ms < end_ms:
        now_ms += MAX_STEP_MS
        found += [arrived.tick for arrived in market.advance(now_ms)]
    return found[:count]
