"""One client's queue: bounded, candles conflated, ticks never dropped silently."""

from __future__ import annotations

import asyncio
from collections.abc import Hashable, Sequence
from typing import Final

from functions.live_feed.protocols.frames import Form, Update, client_frame
from shared.runtime import metrics

SLOW: Final = "slow_consumer"


class SlowConsumerError(Exception):
    """The client reads more slowly than ticks arrive, beyond its queue."""


class ReplicaEndsError(Exception):
    """Shutdown: the client resumes at another replica."""


class Subscriber:
    """Bounded queue of one client, which costs the others nothing where it does not read."""

    def __init__(self, form: Form, max_bytes: int) -> None:
        self.form = form
        self.wanted: set[str] = set()
        self._bound = max_bytes
        self._waiting: dict[Hashable, Update | Sequence[bytes]] = {}
        self._number = 0
        self._some = asyncio.Event()
        self._taken = asyncio.Event()
        self._ended = asyncio.Event()
        self._cause: type[SlowConsumerError | ReplicaEndsError] | None = None

    def say(self, *frames: bytes) -> None:
        """Queue frames for this client only; together they count as one."""
        self._put(self._next_number(), frames)

    def answer(self, type_: str, **values: object) -> None:
        """Queue a frame with these fields."""
        self.say(client_frame(self.form, type_, values))

    def offer(self, update: Update) -> None:
        """Queue an update; only the highest revision of a candle waits, and `seq` only grows."""
        key: Hashable = update.candle
        if key is None:
            key = self._next_number()
        else:
            waiting = self._waiting.get(key)
            if isinstance(waiting, Update) and waiting.order >= update.order:
                return
            self._waiting.pop(key, None)
        self._put(key, update)

    @property
    def overflown(self) -> bool:
        """Whether the queue has overflowed: it accepts nothing more."""
        return self._cause is SlowConsumerError

    @property
    def is_leaving(self) -> bool:
        """Whether the replica is shutting down."""
        return self._cause is ReplicaEndsError

    def leave(self) -> None:
        """Stop: `next` raises ReplicaEndsError."""
        self._finish(ReplicaEndsError)

    async def ended(self) -> None:
        """Wait for the overflow or the shutdown; a blocked writer would not notice."""
        await self._ended.wait()

    async def room(self) -> None:
        """Wait while the queue is half full."""
        while len(self._waiting) > self._bound // 2:
            self._taken.clear()
            await self._taken.wait()

    async def next(self) -> list[bytes]:
        """Wait for frames; return all queued ones. Raises SlowConsumerError, ReplicaEndsError."""
        await self._some.wait()
        if self._cause is not None:
            raise self._cause
        waiting, self._waiting = self._waiting, {}
        self._some.clear()
        self._taken.set()
        frames: list[bytes] = []
        for each in waiting.values():
            if isinstance(each, Update):
                frames.append(each.frame(self.form))
            else:
                frames.extend(each)
        return frames

    def _put(self, key: Hashable, item: Update | Sequence[bytes]) -> None:
        if self._cause is not None:
            return
        if len(self._waiting) < self._bound:
            self._waiting[key] = item
            self._some.set()
        else:
            self._waiting.clear()
            metrics.LIVE_DISCONNECTED.labels(SLOW).inc()
            self._finish(SlowConsumerError)

    def _finish(self, cause: type[SlowConsumerError | ReplicaEndsError]) -> None:
        self._cause = self._cause or cause
        self._ended.set()
        self._some.set()

    def _next_number(self) -> int:
        self._number += 1
        return self._number
