"""Event handler: store an event that ran out of deliveries, then acknowledge it."""

from __future__ import annotations

import asyncio
import logging

from nats.aio.client import Client
from nats.js.errors import NoStreamResponseError

from shared.adapter.app import Outcome
from shared.adapter.event import Event
from shared.errors import TransientError
from shared.runtime import metrics
from shared.runtime.dead_letters import STREAM, DeadLetters
from shared.runtime.jetstream import connect, translated

log = logging.getLogger(__name__)

STAGE = "dead-letter"
CONNECT_TIMEOUT_S = 5.0


class DeadLetterHandler:
    """The stage's handler. It connects at its first event and stays connected.

    `max_age_s`: retention of letters; 0: forever. `replicas`: of their stream.
    """

    def __init__(self, nats_url: str, max_age_s: float = 0.0, replicas: int = 1) -> None:
        self._url, self._max_age_s, self._replicas = nats_url, max_age_s, replicas
        self._client: Client | None = None
        self._connecting = asyncio.Lock()

    async def __call__(self, event: Event) -> Outcome:
        """Append the event. Raises TransientError while NATS is away."""
        letters = await self._letters()
        try:
            is_new = await letters.append(event.attributes, event.body)
        except TransientError as error:
            if isinstance(error.__cause__, NoStreamResponseError):
                log.warning("stream %s was deleted: it is made again", STREAM)
                await letters.ensure(self._max_age_s, self._replicas)
            raise
        if is_new:
            metrics.DEAD_LETTERS.inc()
        else:
            metrics.EVENTS_REPEATED.labels(STAGE).inc()
        return Outcome()

    async def check(self) -> None:
        """Raise TransientError while NATS is away."""
        await (await self._letters()).count()

    async def close(self) -> None:
        """Close the connection."""
        if self._client is not None:
            await self._client.close()
            self._client = None

    async def _letters(self) -> DeadLetters:
        async with self._connecting:
            if self._client is None:
                with translated():  # the client retries forever, including its first connection
                    async with asyncio.timeout(CONNECT_TIMEOUT_S):
                        client = await connect(self._url)
                try:
                    letters = DeadLetters(client.jetstream())
                    await letters.ensure(self._max_age_s, self._replicas)
                except BaseException:
                    await client.close()
                    raise
                self._client = client
        return DeadLetters(self._client.jetstream())
