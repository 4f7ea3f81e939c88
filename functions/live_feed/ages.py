"""Freshness: time from the receipt of a tick until watchers get it and its candle."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from functions.live_feed.protocols.frames import Update
from shared.realtime import channels as live

HELD_US: Final = 10_000_000
"""How long a message counts: a quiet market has no age."""


class Ages:
    """Ages of the newest trade and candle over everything watched, as on the page.

    `clock`: microseconds since 1970.
    """

    def __init__(self, clock: Callable[[], int] = lambda: time.time_ns() // 1000) -> None:
        self._clock = clock
        self._trades = _Newest()
        self._candles = _Newest()

    def take(self, update: Update) -> None:
        """Note a message sent to watchers."""
        if update.channel.startswith(live.TICKS):
            self._trades.take(update.received_us, self._clock())
        elif update.channel.startswith(live.CANDLES):
            self._candles.take(update.received_us, self._clock())

    def trades_s(self) -> float:
        """Return the age of trades in seconds; 0: no recent ones."""
        return self._trades.age_us(self._clock()) / 1e6

    def candles_s(self) -> float:
        """Return the age of candles in seconds; they also lag if trades have overtaken them."""
        missing_us = self._trades.received_us - self._candles.received_us
        own_us = self._candles.age_us(self._clock())
        if not self._candles.received_us or not self.trades_s():
            return own_us / 1e6
        return max(own_us, missing_us) / 1e6


class _Newest:
    def __init__(self) -> None:
        self.received_us = 0
        self._came_us = 0
        self._age_us = 0

    def take(self, received_us: int, now_us: int) -> None:
        if received_us and received_us >= self.received_us:
            self.received_us, self._came_us = received_us, now_us
            self._age_us = max(1, now_us - received_us)

    def age_us(self, now_us: int) -> int:
        return self._age_us if now_us - self._came_us < HELD_US else 0
