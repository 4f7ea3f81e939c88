"""A replica that ends closes its watchers at once, instead of waiting for them to leave."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from functions.live_feed.protocols.replica import ClientSlots
from functions.live_feed.protocols.websocket import CODE_RESTART
from local.servers.ports import free_port
from tests.functions.live_feed.conftest import Room
from tests.functions.live_feed.test_websocket import ask, read, serving

Run = Callable[[Callable[[Room], Awaitable[None]]], None]
ROOT = Path(__file__).parents[3]


def test_shutdown_closes_clients_with_1012_and_accepts_none(run: Run) -> None:
    """Watchers are closed with 1012, an event stream ends, and new clients are refused."""

    async def test(room: Room) -> None:
        slots = ClientSlots(10)
        async with (
            serving(room, slots=slots) as address,
            connect(f"ws://{address}/ws", proxy=None) as watcher,
            httpx.AsyncClient(base_url=f"http://{address}", trust_env=False) as browser,
            browser.stream("GET", "/sse", params={"channels": "ticks:A"}) as stream,
        ):
            lines = stream.aiter_lines()
            assert await anext(lines)
            await ask(watcher, op="subscribe", channels=["ticks:A"])
            assert len(await read(watcher, 2)) == 2
            slots.leave()
            with pytest.raises(ConnectionClosed) as closed:
                await watcher.recv()
            assert closed.value.rcvd is not None
            assert closed.value.rcvd.code == CODE_RESTART == 1012
            async with asyncio.timeout(60):
                _ = [line async for line in lines]  # the stream ends without an error
            async with connect(f"ws://{address}/ws", proxy=None) as late:
                with pytest.raises(ConnectionClosed) as refused:
                    await late.recv()
            assert refused.value.rcvd is not None
            assert refused.value.rcvd.code == CODE_RESTART
            answer = await browser.get("/sse", params={"channels": "ticks:A"})
            assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")

    run(test)


def test_the_process_ends_while_clients_are_connected(servers: dict[str, str]) -> None:
    """SIGTERM ends the process at once in spite of watchers and a grace of ten minutes."""

    async def test() -> None:
        port = free_port()
        environment = {
            **os.environ,
            "FUNCTION_TARGET": "live_feed",
            "FUNCTION_SOURCE": "functions/live_feed/main.py",
            "ASGI_APP": "functions.live_feed.asgi:app",
            "NATS_URL": servers["NATS_URL"],
            "REDIS_URL": servers["REDIS_URL"],
            "PORT": str(port),
            "HOST": "127.0.0.1",
            "DRAIN_S": "600",
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        }
        process = await asyncio.create_subprocess_exec(
            "knative/entrypoint.sh", cwd=ROOT, env=environment
        )
        try:
            url = f"http://127.0.0.1:{port}"
            async with httpx.AsyncClient(base_url=url, trust_env=False, timeout=60) as browser:
                await ready(browser)
                async with (
                    connect(f"ws://127.0.0.1:{port}/ws", proxy=None) as watcher,
                    browser.stream("GET", "/sse", params={"channels": "ticks:A"}) as stream,
                ):
                    lines = stream.aiter_lines()
                    assert await anext(lines)
                    process.send_signal(signal.SIGTERM)
                    with pytest.raises(ConnectionClosed) as closed:
                        await watcher.recv()
                    assert closed.value.rcvd is not None
                    assert closed.value.rcvd.code == 1012
                    async with asyncio.timeout(60):
                        _ = [line async for line in lines]
            async with asyncio.timeout(60):
                assert await process.wait() in (0, -signal.SIGTERM)
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()

    asyncio.run(test())


async def ready(client: httpx.AsyncClient) -> None:
    """Return once readiness has this status."""
    async with asyncio.timeout(60):
        while True:
            with contextlib.suppress(httpx.TransportError):
                if (await client.get("/health/readiness")).is_success:
                    return
            await asyncio.sleep(0.05)
