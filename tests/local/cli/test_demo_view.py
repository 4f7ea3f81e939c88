"""The demo's view while the API is away, slow, or refuses."""

from __future__ import annotations

import asyncio
import io
import socket

import httpx
from rich.console import Console

from local.cli.commands.demo import candle_view
from local.instance import Instance
from tests.local.cli.test_display import sample
from tests.local.feeds.receivers import Answer, http_receiver


def shown(url: str, timeout_s: float = 60.0) -> str:
    """Return the view of an instance with its API at `url`."""
    instance = Instance(1, "2026-01-01T00:00:00+00:00", "", {"API_URL": url}, {}, [])

    async def view() -> str:
        async with httpx.AsyncClient(trust_env=False, timeout=timeout_s) as client:
            console = Console(file=io.StringIO(), width=200)
            console.print(await candle_view(client, sample(), instance, 200))
            assert isinstance(console.file, io.StringIO)
            return console.file.getvalue()

    return asyncio.run(view())


def test_the_view_says_why_it_has_no_candles() -> None:
    """An API that is slow is not one that is away, or that refuses."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        assert "(the API is slow: no answer within 2 s)" in shown(url, timeout_s=0.05)
    assert "(the API does not answer: ConnectError(" in shown(url)
    with http_receiver() as server:
        server.otherwise = Answer(503)
        assert "(the API answers 503)" in shown(server.url)
        server.otherwise = Answer(200, b"[]")
        server.answers = [Answer(200, b"[]"), Answer(200, b'{"patterns": []}')]
        assert "(no candles yet)" in shown(server.url)
