"""Health, readiness and metrics: the routes of every process."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Final

from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, generate_latest
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from shared.errors import TransientError

if TYPE_CHECKING:  # a process that emits nothing needs no client
    from shared.adapter.sink import Sink

Check = Callable[[], None] | Callable[[], Awaitable[None]]

NO_SINK: Final = "K_SINK is not set: a SinkBinding injects it once its Broker is Ready"


def bound(sink: Sink | None, ready: Check | None) -> Check:
    """Return the readiness check of an emitting process: without K_SINK it is never ready."""

    def unbound() -> None:
        raise TransientError(NO_SINK)

    if sink is None:
        return unbound
    return ready or no_check


def no_check() -> None:
    """Readiness check of a process that can always work."""


async def run_check(ready: Check) -> None:
    """Run a readiness check, in a thread if it blocks. Raises TransientError."""
    if inspect.iscoroutinefunction(ready):
        await ready()
    else:
        await run_in_threadpool(ready)


def health_routes(ready: Check | None) -> list[Route]:
    """Return the routes; `ready` raises TransientError while the process cannot work."""

    async def live(request: Request) -> Response:
        return PlainTextResponse("ok\n")

    async def readiness(request: Request) -> Response:
        if ready is not None:
            try:
                await run_check(ready)
            except TransientError as error:
                return PlainTextResponse(f"not ready: {error}\n", 503)
        return PlainTextResponse("ready\n")

    async def metrics(request: Request) -> Response:
        names = request.query_params.getlist("name[]")  # as in the client's own server
        registry = REGISTRY.restricted_registry(names) if names else REGISTRY
        return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)

    return [
        Route("/health/liveness", live),
        Route("/health", live),
        Route("/health/readiness", readiness),
        Route("/ready", readiness),
        Route("/startup", readiness),
        Route("/metrics", metrics),
    ]
