"""Shutdown is noticed before requests have ended."""

from __future__ import annotations

import asyncio
import signal

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from shared.adapter.draining import Draining
from tests.served import served


def test_queue_proxy_announces_shutdown_before_sigterm() -> None:
    """A replica drains at queue-proxy's `shutting down`, which comes before SIGTERM."""
    ends = False
    asked: list[str] = []

    async def queue_proxy(request: Request) -> Response:
        asked.append(request.headers["user-agent"])
        assert request.headers["k-network-probe"] == "queue"
        return PlainTextResponse("shutting down", 503) if ends else PlainTextResponse("queue")

    async def test() -> None:
        nonlocal ends
        left = asyncio.Event()
        with served(Starlette(routes=[Route("/", queue_proxy)])) as url:
            draining = Draining(left.set, url)
            draining.begin()
            draining.begin()
            async with asyncio.timeout(60):
                while len(asked) < 2:  # noqa: ASYNC110 - a counter has no event
                    await asyncio.sleep(0.02)
                assert not left.is_set()
                ends = True
                await left.wait()
            assert all(agent.startswith("kube-probe/") for agent in asked)
            await draining.close()

    before = signal.getsignal(signal.SIGTERM)
    try:
        asyncio.run(test())
    finally:
        signal.signal(signal.SIGTERM, before)
