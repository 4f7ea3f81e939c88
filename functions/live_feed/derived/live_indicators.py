"""Live indicator values, re-read when stored candles change."""

from __future__ import annotations

import math
import time
from typing import Any, Final

from functions.live_feed.derived.history_api import HistoryApi
from functions.live_feed.hub import Hub
from shared.analysis.indicators import parse_indicators
from shared.realtime import channels as live
from shared.schema import live_pb2
from shared.wire.candle import Candle

_SETTLES_S: Final = 2.0
"""When to read once more after a change, to include what was still being stored."""
_REMEMBERED: Final = 500
_NEVER: Final = 2**63


class LiveIndicator:
    """One channel of an indicator. Used by one event loop.

    The values come from the history API, so they equal what a page shows. `candles`: the channel of
    its input candles.
    """

    def __init__(self, channel: str, hub: Hub, history: HistoryApi) -> None:
        self._name, self._timeframe, self._symbol = live.indicator_of(channel)
        self.candles = f"{live.CANDLES}:{self._timeframe}:{self._symbol}"
        self._channel, self._hub, self._history = channel, hub, history
        (self._indicator,) = parse_indicators(self._name)
        self._sent: dict[int, tuple[bool, tuple[float, ...]]] = {}
        self._revision = 0
        self._unread_us = self._unsettled_us = _NEVER
        self._settles_s = math.inf

    def take(self, candle: Candle, _: int) -> None:
        """Take a state of a candle: the values from there on are re-read, at once and later."""
        self._unread_us = min(self._unread_us, candle.start_us)
        self._unsettled_us = min(self._unsettled_us, candle.start_us)
        self._settles_s = min(self._settles_s, time.monotonic() + _SETTLES_S)

    def due_s(self) -> float:
        """Return in how many seconds to read it."""
        return 0.0 if self._unread_us < _NEVER else self._settles_s - time.monotonic()

    async def begin(self) -> None:
        """Send the newest value. Raises TransientError."""
        await self._send(None)

    async def read(self) -> None:
        """Send the values that changed. Raises TransientError."""
        from_us, self._unread_us = self._unread_us, _NEVER
        if self._settles_s <= time.monotonic():
            from_us = min(from_us, self._unsettled_us)
            self._unsettled_us, self._settles_s = _NEVER, math.inf
        try:
            await self._send(from_us)
        except BaseException:
            self._unread_us = min(self._unread_us, from_us)
            raise

    async def _send(self, from_us: int | None) -> None:
        """Read values and send those that differ from the last ones sent."""
        rows = await self._history.indicator(self._symbol, self._timeframe, self._name, from_us)
        newest_us = max(self._sent, default=-1)
        for row in rows:
            indicators = row["indicators"]
            columns = self._indicator.columns
            values = tuple(
                math.nan if indicators[each] is None else indicators[each] for each in columns
            )
            start_us, state = row["t"] * 1000, (row["closed"], values)
            if repr(self._sent.get(start_us)) != repr(state):  # NaN equals nothing
                self._sent[start_us] = state
                self._give(row, values, late=start_us < newest_us)
        for old in sorted(self._sent)[:-_REMEMBERED]:
            del self._sent[old]

    def _give(self, row: dict[str, Any], values: tuple[float, ...], *, late: bool) -> None:
        self._revision = max(self._revision + 1, time.time_ns() // 1000)
        payload = live_pb2.LiveIndicator(
            symbol=self._symbol,
            timeframe=self._timeframe,
            indicator=self._indicator.name,
            start_us=row["t"] * 1000,
            closed=row["closed"],
            revision=self._revision,
            columns=self._indicator.columns,
            values=values,
        ).SerializeToString()
        self._hub.publish(self._channel, payload, late=late)
