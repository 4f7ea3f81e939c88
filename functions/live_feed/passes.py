"""Passes over channels that are read from the history API one by one: none delays the others."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Final

from functions.live_feed.derived.history_api import AwayError, NoAnswerError
from shared.errors import TransientError
from shared.realtime import channels as live

log = logging.getLogger(__name__)

_UNANSWERED: Final = 2
"""Symbols without an answer that end a pass: the others would wait as long."""
_REMEMBERED: Final = 10_000

Read = Callable[[], Awaitable[None]]
"""Raises TransientError."""


class Passes:
    """Used by one event loop. What failed is read last in later passes."""

    def __init__(self) -> None:
        self._failed: dict[str, None] = {}

    def ordered(self, channels: Iterable[str]) -> list[str]:
        """Return the channels, those that failed last, the latest failure at the end."""
        failures = {channel: number for number, channel in enumerate(self._failed)}
        return sorted(channels, key=lambda each: failures.get(each, -1))

    async def run(self, reads: Mapping[str, Read]) -> None:
        """Read channels; a failure is logged.

        Where one gets no answer, the others of its symbol are left to the next pass.
        """
        unanswered = set[str]()
        for channel in self.ordered(reads):
            symbol = live.instrument_of(channel) or channel
            if symbol in unanswered:
                continue
            try:
                await reads[channel]()
            except TransientError as error:
                log.warning("%s is not known: %s", channel, error)
                self._note_failure(channel)
                if isinstance(error, NoAnswerError):
                    unanswered.add(symbol)
                if isinstance(error, AwayError) or len(unanswered) == _UNANSWERED:
                    break

    def _note_failure(self, channel: str) -> None:
        self._failed.pop(channel, None)
        self._failed[channel] = None
        if len(self._failed) > _REMEMBERED:
            del self._failed[next(iter(self._failed))]
