"""Reads of channels from the history API: first values before re-reads, symbols by turns.

A channel is seeding until its first read has succeeded; then it is live, or behind while a read is
due. Of a symbol one channel that is seeding and one that is behind are read at a time: no channel
is read twice at once, and a symbol without an answer delays no other.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final, Protocol
from weakref import WeakValueDictionary

from functions.live_feed.derived.history_api import AwayError, NoAnswerError
from shared.errors import TransientError
from shared.runtime.tasks import end

log = logging.getLogger(__name__)

READS_PER_S: Final = 40
_FIRST_AT_ONCE: Final = 16
_AGAIN_AT_ONCE: Final = 8
_EACH_S: Final = 0.25
"""Minimum pause between two reads of a channel."""
_PAUSE_S: Final = 2.0
"""Pause after a failure: of a channel, or of a symbol without an answer. It doubles."""
_LONGEST_PAUSE_S: Final = 64.0
_PATIENCE_S: Final = 10.0
_UNANSWERED: Final = 2
"""Reads without an answer in a row after which all wait: the API is away."""


class Source(Protocol):
    """Stored values of a channel."""

    def due_s(self) -> float:
        """Return in how many seconds to read it; infinite: it is up to date."""

    async def begin(self) -> None:
        """Read its first value and send it. Raises TransientError."""

    async def read(self) -> None:
        """Read and send what is new. Raises TransientError."""


@dataclass(eq=False)
class _Pause:
    """A pause that grows with each failure; of a symbol also its turns."""

    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    until_s: float = 0.0
    pause_s: float = 0.0

    def fail(self, now_s: float) -> None:
        self.pause_s = min(max(_PAUSE_S, 2 * self.pause_s), _LONGEST_PAUSE_S)
        self.until_s = now_s + self.pause_s


@dataclass(eq=False)
class _Channel:
    """`turns`: of its first read, and of later ones. `tried`: nobody need wait for it longer."""

    symbol: str
    source: Source
    turns: Sequence[_Pause]
    own: _Pause = field(default_factory=_Pause)
    is_known: bool = False
    tried: asyncio.Event = field(default_factory=asyncio.Event)
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    wakes_s: float = 0.0


class HistoryReads:
    """Used by one event loop. `reads_per_s`: rate at which all channels are read again.

    Changes that arrive while a channel waits are covered by the same read; so the more channels are
    followed, the less often each is read.
    """

    def __init__(self, reads_per_s: int = READS_PER_S) -> None:
        self._between_s = 1 / reads_per_s
        self._next_s = self._away_until_s = 0.0
        self._unanswered: set[str] = set()
        self._places = asyncio.Semaphore(_FIRST_AT_ONCE), asyncio.Semaphore(_AGAIN_AT_ONCE)
        self._turn = asyncio.Lock()
        self._channels: dict[str, _Channel] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._turns: WeakValueDictionary[tuple[str, bool], _Pause] = WeakValueDictionary()

    def begin(self, name: str, symbol: str, source: Source, turn: str = "") -> None:
        """Read a channel from now on, whenever it is due; `turn`: if not its symbol's."""
        keys = [(turn or symbol, is_known) for is_known in (False, True)]
        turns = [self._turns.setdefault(key, _Pause()) for key in keys]
        channel = self._channels[name] = _Channel(symbol, source, turns)
        self._tasks[name] = asyncio.create_task(self._follow(name, channel), name=name)

    def check(self, name: str) -> None:
        """Note that the channel may be due earlier."""
        channel = self._channels.get(name)
        if channel is not None and self._due_s(channel) < channel.wakes_s:
            channel.changed.set()

    def end(self, name: str) -> None:
        """Read the channel no more; a read in flight sends nothing."""
        channel = self._channels.pop(name, None)
        if channel is not None:
            self._tasks.pop(name).cancel()
            channel.tried.set()

    async def first(self, names: Iterable[str]) -> None:
        """Wait until the first read of each channel has ended, or is put off after a failure."""
        with suppress(TimeoutError):
            async with asyncio.timeout(_PATIENCE_S):
                for channel in [self._channels[each] for each in names if each in self._channels]:
                    await channel.tried.wait()

    async def close(self) -> None:
        """Read nothing more."""
        await end(*self._tasks.values())

    def _due_s(self, channel: _Channel) -> float:
        now_s = asyncio.get_running_loop().time()
        turn = channel.turns[channel.is_known]
        due_s = now_s + (channel.source.due_s() if channel.is_known else 0.0)
        return max(due_s, channel.own.until_s, turn.until_s, self._away_until_s)

    async def _follow(self, name: str, channel: _Channel) -> None:
        clock = asyncio.get_running_loop().time
        while True:
            channel.changed.clear()
            channel.wakes_s = self._due_s(channel)
            if channel.wakes_s > clock():
                channel.tried.set()
                with suppress(TimeoutError):
                    when_s = None if channel.wakes_s == math.inf else channel.wakes_s
                    async with asyncio.timeout_at(when_s):
                        await channel.changed.wait()
                continue
            is_known = channel.is_known
            async with channel.turns[is_known].turn, self._places[is_known]:
                if is_known:
                    async with self._turn:  # else a late timer lets the next read pass
                        now_s = clock()
                        await asyncio.sleep(self._next_s - now_s)
                        self._next_s = max(self._next_s, now_s) + self._between_s
                if self._due_s(channel) <= clock():  # else the symbol got no answer meanwhile
                    await self._read(name, channel)

    async def _read(self, name: str, channel: _Channel) -> None:
        clock, turn = asyncio.get_running_loop().time, channel.turns[channel.is_known]
        try:
            await (channel.source.read() if channel.is_known else channel.source.begin())
        except Exception as error:  # whatever the error, it is retried
            expected = isinstance(error, TransientError)
            log.warning("%s is not read: %r", name, error, exc_info=not expected)
            is_silent, is_away = isinstance(error, NoAnswerError), isinstance(error, AwayError)
            if not is_away:
                (turn if is_silent else channel.own).fail(clock())
            self._unanswered |= {channel.symbol} if is_silent else set()
            if is_away or len(self._unanswered) >= _UNANSWERED:
                self._away_until_s = clock() + _PAUSE_S
        else:
            self._unanswered.clear()
            turn.pause_s, channel.is_known = 0.0, True
            channel.own = _Pause(until_s=clock() + _EACH_S)
        channel.tried.set()
