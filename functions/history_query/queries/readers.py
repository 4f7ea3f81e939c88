"""Readers of the stores, as the topics use them."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

from functions.history_query.api.parameters import UnknownSymbolError
from functions.history_query.queries.bars import BarPages
from functions.history_query.queries.candles import CandlePages
from functions.history_query.queries.tick_slices import TickSlices
from shared.realtime.readers import LiveState
from shared.stores.postgres import Postgres


@dataclass(slots=True)
class CachedBody:
    """A cached body of JSON, for use under its lock."""

    body: bytes = b""
    fresh_until_s: float = 0.0
    lock: threading.Lock = field(default_factory=threading.Lock)


@dataclass(frozen=True, slots=True)
class Readers:
    """Every reader over the same stores. They raise TransientError while a store is away.

    `overview`: that of all instruments.
    """

    postgres: Postgres
    live: LiveState
    slices: TickSlices
    candles: CandlePages
    bars: BarPages
    overview: CachedBody = field(default_factory=CachedBody)

    def require(self, symbol: str) -> None:
        """Raise UnknownSymbolError if the instrument was never seen."""
        if not self.candles.exists(symbol):
            raise UnknownSymbolError(symbol)
