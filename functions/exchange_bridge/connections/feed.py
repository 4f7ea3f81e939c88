"""A feed's connections: reconnect when one ends; overlap a successor before its lifetime ends."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from websockets.exceptions import WebSocketException

from functions.exchange_bridge.connections.backoff import Backoff
from functions.exchange_bridge.connections.connection import (
    Connection,
    NotSubscribedError,
    StalledError,
)
from functions.exchange_bridge.exchange import Exchange
from functions.exchange_bridge.health import Health
from shared.runtime import metrics
from shared.runtime.tasks import end

log = logging.getLogger(__name__)

OVERLAP_S: Final = 1.0

_EXPECTED: Final = (OSError, TimeoutError, WebSocketException, NotSubscribedError, StalledError)


@dataclass(slots=True)
class Feed:
    """Keeps one subscribed connection; two while the successor takes over."""

    exchange: Exchange
    open: Callable[[], Connection]
    health: Health
    backoff: Backoff
    _task: asyncio.Task[None] | None = None
    _lacking: str = ""

    def reopen(self, reason: str) -> None:
        """End the connection, which lacks data, so that another one subscribes anew."""
        if self._task is not None:
            self._lacking = reason
            self._task.cancel()

    async def run(self) -> None:
        """Run until cancelled."""
        old: asyncio.Task[None] | None = None
        try:
            while True:
                began_s, was_connected = time.monotonic(), False
                connection = self.open()
                task = self._task = asyncio.create_task(connection.run())
                try:
                    if await _subscribed(connection, task):
                        was_connected = True
                        self._now_up()
                        await _end_previous(old)
                        old = None
                        done, _ = await asyncio.wait({task}, timeout=self.exchange.life_s or None)
                        if not done:
                            old = task
                            self.backoff.reset()
                            self._again("renewed")
                            continue
                except BaseException:
                    await end(task)
                    raise
                error = StalledError(self._lacking) if task.cancelled() else _reason(task)
                self._now_down(error, is_covered=old is not None and not old.done())
                lasted_s = time.monotonic() - began_s
                await asyncio.sleep(
                    self.backoff.after(error, lasted_s, was_connected=was_connected)
                )
        finally:
            if old is not None:
                await end(old)

    def _now_up(self) -> None:
        self.health.is_up = True
        self.health.error = ""
        metrics.FEED_UP.labels(self.exchange.name).set(1)
        log.info("%s: subscribed", self.exchange.name)

    def _now_down(self, error: BaseException, *, is_covered: bool) -> None:
        reason = f"{type(error).__name__}: {error}".rstrip(": ")
        log.warning("%s: the connection ended: %s", self.exchange.name, reason)
        self._again("stalled" if isinstance(error, StalledError) else "ended")
        self.health.error = reason
        if not is_covered:
            self.health.is_up = False
            metrics.FEED_UP.labels(self.exchange.name).set(0)
        if isinstance(error, StalledError):
            self.health.is_stalled = True

    def _again(self, reason: str) -> None:
        self.health.reconnects += 1
        metrics.FEED_RECONNECTS.labels(self.exchange.name, reason).inc()


async def _subscribed(connection: Connection, task: asyncio.Task[None]) -> bool:
    """Wait until the connection is subscribed or has ended; return whether it is subscribed."""
    subscribed = asyncio.create_task(connection.subscribed.wait())
    try:
        await asyncio.wait({subscribed, task}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        subscribed.cancel()
    return not task.done()


async def _end_previous(old: asyncio.Task[None] | None) -> None:
    """End the previous connection after a short overlap."""
    if old is not None:
        await asyncio.wait({old}, timeout=OVERLAP_S)
        await end(old)


def _reason(task: asyncio.Task[None]) -> BaseException:
    """Return why a connection ended. Raises unexpected errors: they are defects."""
    error: BaseException | None = task.exception()
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    if error is None:
        return OSError("it ended without a reason")
    if not isinstance(error, _EXPECTED):
        raise error
    return error
