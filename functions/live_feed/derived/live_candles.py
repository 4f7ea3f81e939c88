"""Live candles of a timeframe that candle-aggregate does not make: folded, settled as stored."""

from __future__ import annotations

import time
from contextlib import aclosing
from typing import Final

from functions.live_feed.derived.folding import Folding
from functions.live_feed.derived.history_api import HistoryApi
from functions.live_feed.hub import Hub
from shared.market.timeframes import Timeframe
from shared.realtime import channels as live
from shared.wire.candle import Candle

_EACH_S: Final = 2.0
"""Minimum pause between two reads, and from a candle's end to its read."""
_LONGEST_PAUSE_S: Final = 64.0


class LiveCandles:
    """One channel. Used by one event loop. `candles`: the channel of its base candles."""

    def __init__(
        self,
        channel: str,
        timeframe: Timeframe,
        hub: Hub,
        history: HistoryApi,
        ladder: tuple[Timeframe, ...],
    ) -> None:
        self._channel, self._hub, self._history, self._ladder = channel, hub, history, ladder
        self._symbol = live.instrument_of(channel) or ""
        self.candles = f"{live.CANDLES}:{ladder[0]}:{self._symbol}"
        self._folding = Folding(timeframe)
        self._read_s = self._pause_s = 0.0

    def take(self, candle: Candle, now_us: int) -> Candle | None:
        """Take a state of a base candle; return the longer one, or None if nothing is known."""
        self._pause_s = _EACH_S
        return self._folding.take(candle, now_us)

    def due_s(self) -> float:
        """Return in how many seconds to read what is incomplete, over, or was corrected."""
        pause_s = self._read_s + self._pause_s - time.monotonic()
        return max(self._folding.due_s(_ended_us()), pause_s)

    async def begin(self) -> None:
        """Load the interval of the newest base candle. Raises TransientError."""
        self._read_s = time.monotonic()
        newest = await self._history.newest(self._symbol, self._ladder[0].name)
        if newest is not None:
            await self._folding.seed(self._ladder, newest.start_us, self._read)
        if not self._folding.is_whole:  # until it can be, others have the reads
            self._pause_s = min(max(_EACH_S, 2 * self._pause_s), _LONGEST_PAUSE_S)
            return
        self._pause_s = _EACH_S
        present = self._folding.present(time.time_ns() // 1000)
        if present is not None:
            self._hub.publish_candle(self._channel, present)

    async def read(self) -> None:
        """Load an incomplete interval, and send candles as stored. Raises TransientError."""
        self._read_s = time.monotonic()
        if not self._folding.is_whole:
            await self.begin()
        async with aclosing(self._folding.settled(_ended_us(), self._read)) as settled:
            async for candle in settled:
                self._hub.publish_candle(self._channel, candle)

    async def _read(self, frame: Timeframe, from_us: int, to_us: int | None) -> list[Candle]:
        return await self._history.candles(self._symbol, frame.name, from_us, to_us)


def _ended_us() -> int:
    """Return the time by which a candle has ended if storage may have it closed."""
    return time.time_ns() // 1000 - int(_EACH_S * 1e6)
