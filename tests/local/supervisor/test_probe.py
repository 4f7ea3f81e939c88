from __future__ import annotations

import asyncio

import pytest

from local.servers.ports import free_port
from local.supervisor.component import NotReadyError
from local.supervisor.probe import answers


async def asked(answer: bytes) -> bool:
    """Probe a server that answers any request with this response, in pieces."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        for start in range(0, len(answer), 20):
            writer.write(answer[start : start + 20])
            await writer.drain()
            await asyncio.sleep(0)
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        return await answers(f"http://127.0.0.1:{port}/ready?now")()


def test_200_is_ready() -> None:
    """A 200 is ready, whatever its body."""
    assert asyncio.run(asked(b"HTTP/1.1 200 OK\r\n\r\nready")) is True


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (
            b"HTTP/1.1 503 Unavailable\r\nx: y\r\n\r\nnot ready:\x1b the\ndatabase is away\n",
            "GET /ready: 503: not ready:  the database is away",
        ),
        (b"HTTP/1.1 404 Not Found\r\n\r\n", "GET /ready: 404"),
        (b"", "GET /ready: closed without an answer"),
        (b"HTTP/1.1 500 x\r\n\r\n" + b"a" * 5000, "GET /ready: 500: " + "a" * 300),
    ],
)
def test_any_other_answer_is_the_reason(answer: bytes, reason: str) -> None:
    """Any other response is the reason: status and body on one line, safe for terminals."""
    with pytest.raises(NotReadyError) as caught:
        asyncio.run(asked(answer))
    assert str(caught.value) == reason


def test_nothing_that_listens_is_a_reason_too() -> None:
    """A closed port is a reason."""

    async def ask() -> bool:
        return await answers(f"http://127.0.0.1:{free_port()}")()

    with pytest.raises(NotReadyError, match="GET /: Connect"):
        asyncio.run(ask())
