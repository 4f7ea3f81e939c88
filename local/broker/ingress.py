"""The HTTP side of the broker process: `POST /<namespace>/<broker>`, health and statistics.

A plain ASGI application, because every event passes through it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any

import orjson

from local.broker import event as cloudevent
from local.broker.event import NotAnEventError
from local.broker.intake import Intake, TooLargeError, TtlSpentError
from local.broker.jetstream import UnavailableError
from local.broker.stats import LoudWarnings, as_text

REQUEST_BYTES = 2 * 1024 * 1024
"""More than any event that fits: 1 MiB, or 1.4 MB of base64 in structured mode."""
DRAINED_BYTES = 64 * 1024 * 1024
"""Bytes of an oversized body that are read and dropped, so that its sender gets the response."""

Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]
_TEXT = (b"content-type", b"text/plain; charset=utf-8")
_JSON = (b"content-type", b"application/json")
_NO_BODY = [(b"content-length", b"0")]


class Ingress:
    """The ASGI application.

    Args:
        intakes: by path, `/<namespace>/<broker>`.
        is_ready: whether every trigger that can be served is subscribed.
        read_stats: makes what /stats answers.
        warnings: where a refused body is said.

    """

    def __init__(
        self,
        intakes: Mapping[str, Intake],
        why_unready: Callable[[], str],
        read_stats: Callable[[], Awaitable[dict[str, Any]]],
        warnings: LoudWarnings,
    ) -> None:
        self._intakes = intakes
        self._why_unready = why_unready
        self._read_stats = read_stats
        self._warnings = warnings

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        """Answer one request."""
        path: str = scope["path"]
        intake = self._intakes.get(path)
        if intake is None:
            await self._answer_other(path, scope["method"], send)
        elif scope["method"] != "POST":
            await _answer(send, 405, b"POST an event\n", _TEXT, (b"allow", b"POST"))
        else:
            await self._accept(intake, scope, receive, send)

    async def _accept(
        self, intake: Intake, scope: dict[str, Any], receive: Receive, send: Send
    ) -> None:
        try:
            body = await _read(receive, _length(scope["headers"]))
        except _IncompleteError:
            # the client is gone; storing a partial body would make the full event a duplicate
            intake.counts.refused += 1
            return
        if body is None:
            intake.counts.refused += 1
            self._warnings.loss(
                f"{scope['path']}: a body of more than {REQUEST_BYTES} bytes was refused with 500"
            )
            await _answer(send, 500)
            return
        try:
            await intake.accept(cloudevent.parse(scope["headers"], body))
        except NotAnEventError as error:
            intake.counts.refused += 1
            await _answer(send, 400, f"{error}\n".encode(), _TEXT)
        except TtlSpentError:
            intake.counts.refused += 1
            await _answer(send, 400)
        except (TooLargeError, UnavailableError):
            # like the real ingress, an empty 500 for both: the sender retries
            intake.counts.refused += 1
            await _answer(send, 500)
        else:
            await _answer(send, 202)

    async def _answer_other(self, path: str, method: str, send: Send) -> None:
        if path == "/healthz":
            await _answer(send, 200, b"ok\n", _TEXT)
        elif path == "/readyz":
            reason = self._why_unready()
            text = f"{reason or 'ready'}\n".encode()
            await _answer(send, 503 if reason else 200, text, _TEXT)
        elif path == "/stats":
            await _answer(send, 200, orjson.dumps(await self._read_stats()), _JSON)
        elif path == "/metrics":
            await _answer(send, 200, as_text(await self._read_stats()), _TEXT)
        else:
            paths = " ".join(sorted(self._intakes)) or "none"
            await _answer(send, 404, f"no Broker at {path}; there is: {paths}\n".encode(), _TEXT)


class _IncompleteError(Exception):
    """The client disconnected before the end of its body."""


async def _read(receive: Receive, length: int | None) -> bytes | None:
    """Return the body, or None if it is too large.

    Raises _IncompleteError: the connection ended before the body, or before its `length`.
    """
    chunks: list[bytes] = []
    size, more = 0, True
    while more and size <= DRAINED_BYTES:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise _IncompleteError
        chunk: bytes = message.get("body", b"")
        more = message.get("more_body", False)
        size += len(chunk)
        if size <= REQUEST_BYTES:
            chunks.append(chunk)
        else:
            chunks.clear()
    if not more and length is not None and size != length:
        raise _IncompleteError
    return b"".join(chunks) if size <= REQUEST_BYTES else None


def _length(headers: Iterable[tuple[bytes, bytes]]) -> int | None:
    """Return the Content-Length; None without one, as in chunked requests."""
    # the HTTP parser has already rejected invalid numbers
    return next((int(value) for name, value in headers if name == b"content-length"), None)


async def _answer(
    send: Send, status: int, body: bytes = b"", *headers: tuple[bytes, bytes]
) -> None:
    length = [(b"content-length", str(len(body)).encode()), *headers] if body else _NO_BODY
    await send({"type": "http.response.start", "status": status, "headers": length})
    await send({"type": "http.response.body", "body": body})
