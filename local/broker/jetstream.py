"""Connection to NATS: reconnects forever, publishes with acknowledgement.

A publish that NATS cannot accept fails at once, so that the sender, not the broker, retries.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

import nats
import nats.errors
from nats.aio.client import Client
from nats.js import JetStreamContext
from nats.js.errors import APIError

from shared.runtime.jetstream import credentials

PUBLISH_SECONDS = 5.0
RECONNECT_SECONDS = 0.2
STORE_FAILED = 10077
"""The server's error code for a message that the stream did not store; its words say why."""

Callback = Callable[[], Awaitable[None]]


class UnavailableError(Exception):
    """JetStream did not acknowledge: unavailable, full, or refused; the message says which."""


class FullError(UnavailableError):
    """The stream has reached its maxBytes or maxMsgs and refuses new messages."""


class JetStream:
    """A NATS connection, with callbacks on disconnect and reconnect."""

    def __init__(self, url: str, on_lost: Callback, on_back: Callback) -> None:
        self._url = url
        self._on_lost = on_lost
        self._on_back = on_back
        self.failure = ""
        """The newest failure since it was last connected."""
        self.client = Client()
        self._publishing = self.client.jetstream(timeout=PUBLISH_SECONDS)

    @property
    def context(self) -> JetStreamContext:
        """The JetStream API; its calls wait two seconds at most."""
        return self.client.jetstream(timeout=2)

    @property
    def connected(self) -> bool:
        """Whether it is connected."""
        return self.client.is_connected

    async def connect(self) -> None:
        """Connect, without a timeout."""
        await self.client.connect(
            self._url,
            **credentials(self._url),
            name="kandle-broker",
            max_reconnect_attempts=-1,
            reconnect_time_wait=RECONNECT_SECONDS,  # type: ignore[arg-type]  # a float does
            connect_timeout=2,
            ping_interval=10,
            error_cb=self._note,
            disconnected_cb=self._on_lost,
            reconnected_cb=self._reconnected,
        )
        self.failure = ""

    async def publish(self, subject: str, message_id: str, payload: bytes) -> bool:
        """Store one message; return whether the stream had this id within its window.

        Raises:
            FullError: the stream is full.
            UnavailableError: it was not, or nothing is known about it.

        """
        if not self.client.is_connected:
            raise UnavailableError("NATS is away")
        headers = {"Nats-Msg-Id": message_id}
        try:
            ack = await self._publishing.publish(subject, payload, headers=headers)
        except APIError as error:
            description = error.description or ""
            if error.err_code == STORE_FAILED and description.endswith("exceeded"):
                raise FullError(description) from None
            raise UnavailableError(f"JetStream refused it: {description}") from None
        except (nats.errors.Error, TimeoutError) as error:
            raise UnavailableError(f"JetStream did not acknowledge: {error}") from None
        return bool(ack.duplicate)

    async def send(self, subject: str, payload: bytes) -> None:
        """Send without waiting; while NATS is away, messages are buffered within bounds."""
        with contextlib.suppress(nats.errors.Error):
            # only an acknowledgement can be lost here: the event is redelivered
            await self.client.publish(subject, payload)

    async def close(self) -> None:
        """Send what is buffered and close."""
        with contextlib.suppress(nats.errors.Error, asyncio.TimeoutError):
            if self.client.is_connected:
                await self.client.flush(timeout=1)
        await self.client.close()

    async def _reconnected(self) -> None:
        self.failure = ""
        await self._on_back()

    async def _note(self, error: Exception) -> None:
        self.failure = str(error) or type(error).__name__
