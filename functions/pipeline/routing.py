"""Routing of events to stages, where one process holds them all."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from shared.adapter.app import EventApp, Outcome, answered
from shared.adapter.event import Event
from shared.adapter.health import no_check, run_check
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

    def __init__(self, stages: Mapping[str, EventApp], otherwise: EventApp) -> None:
        self._stages = stages
        self._otherwise = otherwise

    async def ready(self) -> None:
        """Raise TransientError while any stage is not ready."""
        await asyncio.gather(*(_check(*each) for each in self._stages.items()))

    async def receive(self, request: Request) -> Response:
        """Answer one event posted to `/`."""
        return await answered(request, self._deliver)

    async def _deliver(self, event: Event, namespace: str) -> Response:
        wanted = [self._stages[name] for name in stages_for(event.attributes)]
        responses = await asyncio.gather(
            *(each.deliver(event, namespace) for each in wanted or [self._otherwise])
        )
        worst = max(responses, key=lambda response: response.status_code)
        return worst if worst.status_code >= 300 or not wanted[1:] else Response(status_code=204)


async def _check(name: str, stage: EventApp) -> None:
    try:
        await run_check(stage.ready or no_check)
    except TransientError as error:
        raise TransientError(f"{name}: not ready: {error}") from error
