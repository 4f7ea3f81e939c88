"""Sink: post events to K_SINK and await the broker's acceptance before acknowledging."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Mapping, Sequence
from typing import Final

import aiohttp
import stamina
from yarl import URL

from shared.adapter.event import OutgoingEvent
from shared.adapter.identity import Identity
from shared.errors import TransientError
from shared.runtime import metrics

ATTEMPTS: Final = 4
ATTEMPT_TIMEOUT_S: Final = 10.0
RETRIES_WITHIN_S: Final = 30.0
CONNECTIONS: Final = 64
_KEEP_ALIVE_S: Final = 4.0
"""Shorter than the five seconds after which uvicorn closes an idle connection: the side that closes
first must be this one, else a post now and then meets a connection that is just being closed."""

_LEFT_OUT: Final = ("User-Agent", "Accept", "Accept-Encoding", "Content-Type")


def open_session(connections: int, timeout_s: float | None = None) -> aiohttp.ClientSession:
    """Return a session that posts events as they are; 0 connections: any number."""
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=connections, keepalive_timeout=_KEEP_ALIVE_S),
        timeout=aiohttp.ClientTimeout(total=timeout_s),
        auto_decompress=False,
        skip_auto_headers=_LEFT_OUT,
        cookie_jar=aiohttp.DummyCookieJar(),
    )


class _NotAcceptedError(Exception):
    """The sink did not answer 2xx; the event may be sent again under the same id."""

    def __init__(self, reason: str, status: str = "none") -> None:
        super().__init__(reason)
        self.status = status


class Sink:
    """HTTP client of an address that accepts CloudEvents, with kept-alive connections."""

    def __init__(
        self,
        url: str,
        source: str,
        overrides: Mapping[str, str] | None = None,
        identity: Identity | None = None,
    ) -> None:
        self.url = url
        self._target = URL(url)
        self._identity = identity or Identity(None)
        self._source = source
        self._overrides = overrides or {}
        self._session: aiohttp.ClientSession | None = None

    @classmethod
    def from_env(cls, mapping: Mapping[str, str], source: str) -> Sink | None:
        """Return the sink that the SinkBinding injected, or None without one."""
        url = mapping.get("K_SINK", "")
        if not url:
            return None
        overrides = json.loads(mapping.get("K_CE_OVERRIDES") or "{}").get("extensions", {})
        return cls(url, source, overrides, Identity.from_env(mapping))

    async def emit(self, events: Sequence[OutgoingEvent], traceparent: str | None = None) -> None:
        """Post all events concurrently; return once all are accepted. Raises TransientError."""
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
        await self.post(self._headers(event, traceparent), event.body)

    def _headers(self, event: OutgoingEvent, traceparent: str | None) -> dict[str, str]:
        headers = event.headers(self._source, self._overrides)
        return {**headers, "ce-traceparent": traceparent} if traceparent else headers

    async def post_once(self, event: OutgoingEvent, traceparent: str | None = None) -> bool:
        """Post one event once; return whether it was accepted."""
        try:
            await self._attempt(self._headers(event, traceparent), event.body)
        except _NotAcceptedError:
            return False
        return True

    async def post(self, headers: Mapping[str, str], body: bytes) -> None:
        """Post one event in binary mode, with a few retries under the same id."""
        started_s = time.monotonic()
        try:  # a retry context costs a tenth of a post: the first attempt is outside
            await self._counted(headers, body)
            return
        except _NotAcceptedError as error:
            first = error
        try:
            async for attempt in stamina.retry_context(
                on=_NotAcceptedError,
                attempts=ATTEMPTS,
                timeout=RETRIES_WITHIN_S - (time.monotonic() - started_s),
                wait_initial=0.05,
                wait_max=2.0,
            ):
                with attempt:
                    if attempt.num == 1:
                        raise first
                    await self._counted(headers, body)
        except _NotAcceptedError as error:
            raise TransientError(f"sink {self.url} did not take the event: {error}") from error

    async def _counted(self, headers: Mapping[str, str], body: bytes) -> None:
        try:
            await self._attempt(headers, body)
        except _NotAcceptedError as error:
            metrics.SINK_REFUSED.labels(self._source, error.status).inc()
            raise

    async def _attempt(self, headers: Mapping[str, str], body: bytes) -> None:
        request = self._opened().post(
            self._target,
            data=body,
            headers={**headers, **self._identity.headers()},
            allow_redirects=False,
        )
        try:
            async with request as response:
                if 200 <= response.status < 300:
                    return
                status, text = response.status, await response.content.read(200)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise _NotAcceptedError(str(error) or type(error).__name__) from error
        reason = f"answered {status} {text.decode(errors='replace')}".rstrip()
        raise _NotAcceptedError(reason, str(status))

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = open_session(CONNECTIONS, ATTEMPT_TIMEOUT_S)
        return self._session

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None
