"""The HTTP client against servers that end responses in every way of HTTP/1.1."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from local.broker.delivery import Answer, Failure
from local.broker.http_client import HttpClient
from local.servers.ports import free_port


def exchange(*answers: bytes, posts: int = 1, close: bool = False) -> tuple[list[Answer], int]:
    """POST to a server that gives `answers` in turn; return responses and connections used."""
    connections = 0
    left = list(answers)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        try:
            while left:
                head = await reader.readuntil(b"\r\n\r\n")
                length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
                await reader.readexactly(length)
                writer.write(left.pop(0))
                if close:
                    break
        except asyncio.IncompleteReadError:
            pass
        writer.close()

    async def post(client: HttpClient, url: str) -> list[Answer]:
        return [await client.post(url, {"x": "y"}, b"body", 0.5) for _ in range(posts)]

    return asyncio.run(_with_server(serve, post)), connections


async def _with_server(
    serve: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]],
    post: Callable[[HttpClient, str], Awaitable[list[Answer]]],
) -> list[Answer]:
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    client = HttpClient()
    try:
        return await post(client, f"http://127.0.0.1:{port}/path?q=1")
    finally:
        await client.close()
        server.close()
        await asyncio.sleep(0.01)


@pytest.mark.parametrize(
    ("raw", "status", "body"),
    [
        (b"HTTP/1.1 204 No Content\r\n\r\n", 204, b""),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", 200, b"ok"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", 200, b"ok"),
        (
            b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n",
            202,
            b"",
        ),
    ],
)
def test_a_delimited_response_keeps_the_connection(raw: bytes, status: int, body: bytes) -> None:
    """A response with a known end leaves its connection for the next request."""
    answers, connections = exchange(raw, raw, posts=2)
    assert [(each.status, each.body) for each in answers] == [(status, body)] * 2
    assert connections == 1


def test_a_response_may_end_with_its_connection() -> None:
    """Without a length the body lasts until the server closes; the next request reconnects."""
    raw = b"HTTP/1.1 200 OK\r\n\r\nall of it"
    answers, connections = exchange(raw, raw, posts=2, close=True)
    assert [each.body for each in answers] == [b"all of it"] * 2
    assert connections == 2


@pytest.mark.parametrize(
    "raw",
    [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf", b"nonsense\r\n\r\n"],
)
def test_a_broken_response_counts_as_unreachable(raw: bytes) -> None:
    """A connection that ends early or does not speak HTTP is a failed attempt."""
    (answer,), _ = exchange(raw, close=True)
    assert answer.failure is Failure.UNREACHABLE


def test_a_slow_response_times_out() -> None:
    """An attempt fails at its timeout, and its connection is not used again."""
    half = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf"
    (first, second), connections = exchange(half, b"HTTP/1.1 204 N\r\n\r\n", posts=2)
    assert first.failure is Failure.TIMEOUT
    assert second.status == 204
    assert connections == 2


def test_a_refused_connection_is_a_failed_attempt() -> None:
    """A refused connection is a failed attempt, not an exception."""

    async def post() -> Answer:
        client = HttpClient()
        try:
            return await client.post(f"http://127.0.0.1:{free_port()}/", {}, b"", 1)
        finally:
            await client.close()

    assert asyncio.run(post()).failure is Failure.UNREACHABLE
