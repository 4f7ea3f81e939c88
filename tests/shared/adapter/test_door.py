"""Events are accepted under the cluster's host names, other requests under any."""

from __future__ import annotations

import asyncio

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from shared.adapter.door import EventDoor


async def taken(request: Request) -> PlainTextResponse:
    return PlainTextResponse("taken")


APP = EventDoor(
    Starlette(
        routes=[
            Route("/", taken, methods=["GET", "POST"]),
            Route("/other", taken, methods=["POST"]),
        ]
    )
)


def asked(method: str, path: str, host: str) -> int:
    async def ask() -> int:
        transport = httpx.ASGITransport(APP)
        async with httpx.AsyncClient(transport=transport, base_url="http://door") as client:
            return (await client.request(method, path, headers={"host": host})).status_code

    return asyncio.run(ask())


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("live-feed.kandle.svc.cluster.local", 200),
        ("live-feed.kandle.svc.cluster.local:80", 200),
        ("live-feed.kandle.svc", 200),
        ("live-feed.kandle.example.com", 403),
        ("svc.cluster.local.example.com", 403),
        ("127.0.0.1:8081", 403),
        ("", 403),
    ],
)
def test_events_need_a_cluster_host_name(host: str, status: int) -> None:
    """An event is accepted only under a host name of the cluster, which no gateway routes."""
    assert asked("POST", "/", host) == status


def test_other_requests_pass() -> None:
    """Pages and posts to other paths pass under any host name."""
    assert asked("GET", "/", "example.com") == 200
    assert asked("POST", "/other", "example.com") == 200
