"""Live indicator values, re-read when stored candles change."""

from __future__ import annotations

import asyncio
import logging
import math
import time
from contextlib import suppress
from typing import Any, Final

from functions.live_feed.derived.history_api import HistoryApi
from functions.live_feed.hub import Hub
from shared.analysis.indicators import parse_indicators
from shared.errors import TransientError
from shared.realtime import channels as live
from shared.runtime.tasks import end
from shared.schema import live_pb2
from shared.wire.candle import Candle

log = logging.getLogger(__name__)

_EACH_S: Final = 0.25
"""Minimum pause between two reads."""
_SETTLES_S: Final = 2.0
"""When to read once more after a change, to include what was still being stored."""
_REMEMBERED: Final = 500


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
        self._from_us: int | None = None
        self._changed = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def take(self, candle: Candle, _: int) -> None:
        """Take a state of a candle: the values from there on are re-read."""
        start_us = candle.start_us
        self._from_us = start_us if self._from_us is None else min(self._from_us, start_us)
        self._changed.set()

    async def begin(self) -> None:
        """Send the newest value, then follow. Raises TransientError."""
        await self._read(None)
        self._task = asyncio.create_task(self._follow(), name=f"live {self._channel}")

    async def close(self) -> None:
        """Follow no more."""
        if self._task is not None:
            await end(self._task)

    async def _follow(self) -> None:
        clock = asyncio.get_running_loop().time
        settles: tuple[float, int] | None = None
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout_at(None if settles is None else settles[0]):
                    await self._changed.wait()
            self._changed.clear()
            from_us, self._from_us = self._from_us, None
            starts = [each for each in (from_us, settles and settles[1]) if each is not None]
            if settles is not None and clock() >= settles[0]:
                from_us, settles = min(starts), None
            elif starts:
                settles = (clock() + _SETTLES_S if settles is None else settles[0], min(starts))
            if from_us is not None:
                try:
                    async with self._history.background():
                        if self._from_us is not None:  # changes that arrived while this waited
                            from_us, self._from_us = min(from_us, self._from_us), None
                        await self._read(from_us)
                except Exception as error:  # whatever the error, it is retried
                    is_transient = isinstance(error, TransientError)
                    log.warning(
                        "%s is not read: %r", self._channel, error, exc_info=not is_transient
                    )
                    settles = (clock() + _SETTLES_S, min(from_us, *starts))
            await asyncio.sleep(_EACH_S)

    async def _read(self, from_us: int | None) -> None:
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
