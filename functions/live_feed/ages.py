"""Freshness: time from the receipt of a tick until watchers get it and its candle."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final, NamedTuple

from functions.live_feed.protocols.frames import Update
from shared.realtime import channels as live

HELD_US: Final = 10_000_000
"""How long a message counts: a quiet market has no age."""


class _Newest(NamedTuple):
    """The newest message of a kind: when its tick was received, when it was shown, its age then."""

    received_us: int = 0
    shown_us: int = 0
    age_us: int = 0


class Ages:
    """Ages of the newest trade and candle shown to anybody. `clock`: microseconds since 1970."""

    def __init__(self, clock: Callable[[], int] = lambda: time.time_ns() // 1000) -> None:
        self._clock = clock
        self._newest = dict.fromkeys((live.TICKS, live.CANDLES), _Newest())

    def take(self, update: Update) -> None:
        """Note a message sent to watchers."""
        kind, received_us = update.channel.partition(":")[0], update.received_us
        newest = self._newest.get(kind)
        if newest is not None and received_us and received_us >= newest.received_us:
            now_us = self._clock()
            self._newest[kind] = _Newest(received_us, now_us, max(1, now_us - received_us))

    def trades_s(self) -> float:
        """Return the age of trades in seconds; 0: no recent ones."""
        return self._age_us(live.TICKS) / 1e6

    def candles_s(self) -> float:
        """Return the age of candles in seconds; they also lag if trades have overtaken them."""
        trades, candles = self._newest[live.TICKS], self._newest[live.CANDLES]
        age_us = self._age_us(live.CANDLES)
        if candles.received_us and self._age_us(live.TICKS):
            age_us = max(age_us, trades.received_us - candles.received_us)
        return age_us / 1e6

    def _age_us(self, kind: str) -> int:
        newest = self._newest[kind]
        return newest.age_us if self._clock() - newest.shown_us < HELD_US else 0
