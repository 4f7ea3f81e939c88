"""Routing of events to stages, where one process holds them all."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Final

import httpx
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from shared.adapter.app import Outcome
from shared.adapter.event import MAX_BODY_BYTES, Event, NotACloudEventError, parse
from shared.errors import PermanentError, TransientError
from shared.wire import events

STAGES_BY_TYPE: Final[Mapping[str, Sequence[str]]] = {
    events.RAW: ("normalize",),
    events.GAP: ("persist",),
    events.FEED: ("persist",),
    events.HISTORY: ("candle-aggregate",),
    events.TICKS: ("persist", "candle-aggregate"),
    events.QUOTES: ("persist",),
    events.BUSTS: ("persist", "candle-aggregate"),
    events.REJECTS: ("persist",),
    events.CANDLES: ("persist", "detect-pattern"),
    events.LATE: ("persist",),
    events.PATTERNS: ("persist",),
    events.ALERTS: ("persist", "detect-pattern", "notify"),
    events.CLOCK: ("persist", "candle-aggregate", "detect-pattern"),
}
"""The stages that want each event type, as in eventing/triggers.yaml (tested).

Events of Broker display are posted to live-feed's path.
"""


def stages_for(attributes: Mapping[str, str]) -> tuple[str, ...]:
    """Return the stages for an event with these attributes; none for an unknown type."""
    if attributes["type"] == events.CANDLES and attributes.get(events.CLOSED) != "true":
        return ()
    return tuple(STAGES_BY_TYPE.get(attributes["type"], ()))


def unrouted(event: Event) -> Outcome:
    """Reject an event that no stage wants. Raises PermanentError: it is recorded, not dropped."""
    raise PermanentError("no_stage", f"no stage takes events of type {event.type}")


class AtRoot:
    """An app mounted under a path, written for `/`."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        await self._app({**scope, "path": "/", "raw_path": b"/", "root_path": ""}, receive, send)


class Router:
    """Passes an event to every stage that wants it, concurrently.

    The response is the worst of theirs: if a stage needs a redelivery, all get it; each is
    idempotent. A Trigger that names a stage's own path (`/persist`) is redelivered to that stage
    only.
    """

    def __init__(self, stages: Mapping[str, ASGIApp], otherwise: ASGIApp) -> None:
        self._clients = {name: _client(app) for name, app in stages.items()}
        self._otherwise = _client(otherwise)

    async def ready(self) -> None:
        """Raise TransientError while any stage is not ready."""
        responses = await asyncio.gather(
            *(each.get("/health/readiness") for each in self._clients.values())
        )
        for name, response in zip(self._clients, responses, strict=True):
            if not response.is_success:
                raise TransientError(f"{name}: {response.text.strip()}")

    async def receive(self, request: Request) -> Response:
        """Answer one event posted to `/`."""
        body = b""
        async for chunk in request.stream():
            body += chunk
            if len(body) > MAX_BODY_BYTES:
                return PlainTextResponse(f"body exceeds {MAX_BODY_BYTES} bytes", 413)
        try:
            stages = stages_for(parse(request.headers, body).attributes)
        except NotACloudEventError as error:
            return PlainTextResponse(str(error), 400)
        clients = [self._clients[each] for each in stages] or [self._otherwise]
        responses = await asyncio.gather(
            *(each.post("/", content=body, headers=request.headers.raw) for each in clients)
        )
        worst = max(responses, key=lambda response: response.status_code)
        if worst.is_success and len(responses) > 1:
            return Response(status_code=204)
        passed = {name: value for name, value in worst.headers.items() if name != "content-length"}
        return Response(worst.content, worst.status_code, passed)


def _client(app: ASGIApp) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
    # No timeout: in one process only the stage itself can block; the broker has a timeout.
    return httpx.AsyncClient(transport=transport, base_url="http://stage", timeout=None)  # noqa: S113
