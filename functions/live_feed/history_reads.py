"""Reads of channels from the history API, one by one, with a backoff for each symbol."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Final, TypeVar

from functions.live_feed.derived.history_api import AwayError, NoAnswerError
from shared.errors import TransientError
from shared.realtime import channels as live

log = logging.getLogger(__name__)

_UNANSWERED: Final = 2
"""Symbols without an answer that end a pass: the others would wait as long."""
_PAUSE_S: Final = 2.0
_LONGEST_PAUSE_S: Final = 64.0
"""Pause after a symbol gave no answer; it doubles. Each subscription would wait for it again."""
_REMEMBERED: Final = 10_000

V = TypeVar("V")
Read = Callable[[], Awaitable[None]]
"""Raises TransientError."""


class HistoryReads:
    """Used by one event loop. What failed is read last in later passes.

    A symbol without an answer is left out for a growing pause. `clock`: monotonic seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._failed: dict[str, None] = {}
        self._pauses: dict[str, tuple[float, float]] = {}

    def ordered(self, channels: Iterable[str]) -> list[str]:
        """Return the channels, those that failed last, the latest failure at the end."""
        failures = {channel: number for number, channel in enumerate(self._failed)}
        return sorted(channels, key=lambda each: failures.get(each, -1))

    async def run(self, reads: Mapping[str, Read]) -> None:
        """Read channels; a failure is logged.

        Where one gets no answer, the others of its symbol are left to a later pass.
        """
        unanswered = 0
        for channel in self.ordered(reads):
            symbol = live.instrument_of(channel) or channel
            if self._clock() < self._pauses.get(symbol, (-math.inf, 0.0))[0]:
                continue
            try:
                await reads[channel]()
                self._failed.pop(channel, None)
            except TransientError as error:
                log.warning("%s is not known: %s", channel, error)
                self._failed.pop(channel, None)
                _remember(self._failed, channel, None)
                if isinstance(error, NoAnswerError):
                    unanswered += 1
                    self._pause(symbol)
                if isinstance(error, AwayError) or unanswered == _UNANSWERED:
                    break

    def _pause(self, symbol: str) -> None:
        now_s = self._clock()
        until_s, pause_s = self._pauses.pop(symbol, (-math.inf, 0.0))
        doubled_s = 2 * pause_s if now_s < until_s + _LONGEST_PAUSE_S else 0.0
        pause_s = min(max(_PAUSE_S, doubled_s), _LONGEST_PAUSE_S)
        _remember(self._pauses, symbol, (now_s + pause_s, pause_s))


def _remember(entries: dict[str, V], key: str, value: V) -> None:
    """Add an entry as the newest; drop the oldest beyond the bound."""
    entries[key] = value
    if len(entries) > _REMEMBERED:
        del entries[next(iter(entries))]
