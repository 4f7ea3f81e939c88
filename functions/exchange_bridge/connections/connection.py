"""One WebSocket connection to an exchange: subscribe, await confirmation, read until it ends."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final

from websockets.asyncio.client import ClientConnection, connect

from functions.exchange_bridge.exchange import Exchange, Kind, Message
from shared.runtime.settings import FromEnvironment, integer, ms_to_s

log = logging.getLogger(__name__)
_frames = logging.getLogger("websockets.client")
_frames.setLevel(logging.INFO)
"""At DEBUG it logs what is sent, including credentials."""

PING_S: Final = 20.0
CLOSE_S: Final = 1.0
REQUEST_SPACING_S: Final = 0.25
"""Binance accepts five messages a second per client, the others more."""


class NotSubscribedError(Exception):
    """The exchange refused the subscription, or did not confirm it in time."""


class StalledError(Exception):
    """The connection is open but carries no data although it should."""


@dataclass(frozen=True, slots=True)
class Timeouts(FromEnvironment):
    """Timeouts. `connect_s`: for the connection, and again for the confirmation.

    `stall_s`: silence after which a connection has to prove that it is alive.
    """

    connect_s: float = integer("CONNECT_TIMEOUT_MS", 5_000, 100, 60_000, to=ms_to_s)
    stall_s: float = integer("STALL_MS", 10_000, 100, 3_600_000, to=ms_to_s)


@dataclass
class Connection:
    """A connection to an exchange.

    `connected` is called before it is made. `take` receives every message. `is_behind` asks the
    exchange, if it can, whether trades are missing. `subscribed` is set once every subscription is
    confirmed.
    """

    exchange: Exchange
    timeouts: Timeouts
    take: Callable[[bytes], Message]
    is_behind: Callable[[], Awaitable[object]]
    connected: Callable[[], None]
    subscribed: asyncio.Event = field(default_factory=asyncio.Event, init=False)

    async def run(self) -> None:
        """Subscribe and forward messages; end only with an exception that gives the reason.

        OSError, TimeoutError, websockets' exceptions, NotSubscribedError, StalledError.
        """
        raise NotImplementedError


@dataclass
class WebSocketConnection(Connection):
    """One WebSocket."""

    max_message_bytes: int

    def __post_init__(self) -> None:
        self._waiting: set[str] = set()
        self._heard_s = 0.0

    async def run(self) -> None:
        """Connect, subscribe, read, until it ends."""
        self.connected()
        async with connect(
            self.exchange.url,
            logger=_frames,
            open_timeout=self.timeouts.connect_s,
            close_timeout=CLOSE_S,
            ping_interval=PING_S,
            ping_timeout=PING_S,
            max_size=self.max_message_bytes,
            max_queue=(1024, 256),
        ) as socket:
            self._heard_s = time.monotonic()
            async with asyncio.TaskGroup() as group:
                group.create_task(self._request(socket))
                group.create_task(self._watch(socket))
                group.create_task(self._read(socket))

    async def _request(self, socket: ClientConnection) -> None:
        # Both at the same moment: a symbol may end while the connection is being made.
        self._waiting, requests = set(self.exchange.expected()), self.exchange.requests()
        for number, request in enumerate(requests):
            if number:
                await asyncio.sleep(REQUEST_SPACING_S)
            await socket.send(request)
        if not self._waiting:
            self.subscribed.set()
        try:
            async with asyncio.timeout(self.timeouts.connect_s):
                await self.subscribed.wait()
        except TimeoutError:
            missing = ", ".join(sorted(self._waiting)[:5])
            raise NotSubscribedError(
                f"not confirmed within {self.timeouts.connect_s:g} s: {missing}"
            ) from None
        await self.is_behind()  # trades before this connection are fetched right away

    async def _read(self, socket: ClientConnection) -> None:
        while True:
            message = self.take(await socket.recv(decode=False))
            self._heard_s = time.monotonic()
            if message.reply:
                await socket.send(message.reply)
            if message.kind is Kind.ERROR:
                log.error("%s says: %s", self.exchange.name, message.detail)
                if not self.subscribed.is_set():
                    raise NotSubscribedError(message.detail)
            elif message.kind is Kind.CONFIRMATION:
                self._waiting -= message.confirmed
                if not self._waiting:
                    self.subscribed.set()

    async def _watch(self, socket: ClientConnection) -> None:
        """Tell a quiet market from a dead feed."""
        stall_s = self.timeouts.stall_s
        while True:
            silent_s = time.monotonic() - self._heard_s
            if silent_s < stall_s:
                await asyncio.sleep(stall_s - silent_s)
                continue
            if self.exchange.heartbeats:
                raise StalledError(f"no message and no heartbeat for {silent_s:.1f} s")
            try:
                async with asyncio.timeout(stall_s):
                    await (await socket.ping())
            except TimeoutError:
                raise StalledError(f"no message for {silent_s:.1f} s, and no pong") from None
            if await self.is_behind():
                raise StalledError(
                    f"no message for {silent_s:.1f} s, but the exchange lists newer trades"
                )
            await asyncio.sleep(stall_s)
