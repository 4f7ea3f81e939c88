"""Posting events to K_SINK: emit, and know that the broker has them, before acknowledging."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from typing import Final

import httpx
import stamina

from shared.adapter.event import OutgoingEvent
from shared.errors import TransientError

ATTEMPTS: Final = 4
ATTEMPT_TIMEOUT_S: Final = 10.0


class _NotAcceptedError(Exception):
    """The sink did not answer 2xx; the same event may be sent again under the same id."""


class Sink:
    """An HTTP address that takes CloudEvents. One client, its connections kept alive."""

    def __init__(self, url: str, source: str, overrides: Mapping[str, str] | None = None) -> None:
        self.url = url
        self._source = source
        self._overrides = overrides or {}
        self._client: httpx.AsyncClient | None = None

    @classmethod
    def from_env(cls, mapping: Mapping[str, str], source: str) -> Sink | None:
        """Return the sink that the SinkBinding injected, or None without one."""
        url = mapping.get("K_SINK", "")
        if not url:
            return None
        overrides = json.loads(mapping.get("K_CE_OVERRIDES") or "{}").get("extensions", {})
        return cls(url, source, overrides)

    async def emit(self, events: Sequence[OutgoingEvent], traceparent: str | None = None) -> None:
        """Post all events at once; return when each was accepted. Raises TransientError."""
        if len(events) == 1:
            await self._emit(events[0], traceparent)
            return
        try:
            async with asyncio.TaskGroup() as group:
                for event in events:
                    group.create_task(self._emit(event, traceparent))
        except* TransientError as group_error:
            raise TransientError(str(group_error.exceptions[0])) from group_error

    async def _emit(self, event: OutgoingEvent, traceparent: str | None) -> None:
        headers = event.headers(self._source, self._overrides)
        if traceparent:
            headers["ce-traceparent"] = traceparent
        await self.post(headers, event.body)

    async def post(self, headers: Mapping[str, str], body: bytes) -> None:
        """Post one event in binary mode, with a few retries under the same id."""
        try:
            async for attempt in stamina.retry_context(
                on=(httpx.TransportError, _NotAcceptedError),
                attempts=ATTEMPTS,
                timeout=30.0,
                wait_initial=0.05,
                wait_max=2.0,
            ):
                with attempt:
                    response = await self._http().post(self.url, headers=headers, content=body)
                    if not response.is_success:
                        raise _NotAcceptedError(
                            f"answered {response.status_code} {response.text[:200]}".rstrip()
                        )
        except (httpx.TransportError, _NotAcceptedError) as error:
            reason = str(error) or type(error).__name__
            raise TransientError(f"sink {self.url} did not take the event: {reason}") from error

    def _http(self) -> httpx.AsyncClient:
        if self._client is None:
            self._client = httpx.AsyncClient(
                timeout=ATTEMPT_TIMEOUT_S,
                limits=httpx.Limits(max_connections=64, max_keepalive_connections=64),
                trust_env=False,
            )
        return self._client

    async def close(self) -> None:
        """Close the connections."""
        if self._client is not None:
            await self._client.aclose()
            self._client = None
