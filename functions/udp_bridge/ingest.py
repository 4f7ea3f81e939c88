"""POST /ingest: the same lines over HTTP, for senders that want to know that they were taken."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from typing import Final

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from functions.udp_bridge.batcher import Batcher, Limits
from shared import metrics
from shared.adapter.sink import Sink
from shared.errors import TransientError
from shared.problem import problem
from shared.raw import MAX_PAYLOAD_BYTES

_KEY: Final = re.compile(r"[A-Za-z0-9._:-]{1,128}")
_UNREAD_TYPES: Final = ("application/json", "application/x-protobuf", "application/protobuf")


class Ingest:
    """Takes a body of lines, sends it as one raw batch, answers 202 once the broker has it."""

    def __init__(self, sink: Sink, source: str, max_bytes: int) -> None:
        self._sink = sink
        self._max_bytes = max_bytes
        self._batcher = Batcher(source, Limits())

    async def post(self, request: Request) -> Response:
        """Answer 202, or say in problem+json what is wrong and whether to try again."""
        content_type = request.headers.get("content-type", "text/csv").split(";")[0].strip()
        if content_type in _UNREAD_TYPES:
            return problem(
                415, "content type is not read yet", f"{content_type}: send text/csv lines"
            )
        key = request.headers.get("idempotency-key")
        if key is not None and _KEY.fullmatch(key) is None:
            return problem(
                400,
                "bad Idempotency-Key",
                "Idempotency-Key must be 1 to 128 of A-Z a-z 0-9 . _ : -",
            )
        body = bytearray()
        async for chunk in request.stream():
            body += chunk
            if len(body) > self._max_bytes:
                return problem(
                    413, "body too large", f"a body may have {self._max_bytes} bytes: send several"
                )
        payloads = list(split(bytes(body)))
        if not payloads:
            return problem(
                400, "empty body", "send lines SYMBOL,PRICE[,SIZE[,TIME_MS[,SIDE[,ID]]]]"
            )
        too_long = next((p for p in payloads if len(p) > MAX_PAYLOAD_BYTES), None)
        if too_long is not None:
            return problem(413, "line too long", f"a line may have {MAX_PAYLOAD_BYTES} bytes")
        now_us = time.time_ns() // 1000
        for payload in payloads:
            self._batcher.add(payload, now_us)
        event = self._batcher.take(None if key is None else f"http-{key}")
        try:
            await self._sink.emit([event])
        except TransientError as error:
            return problem(
                503, "the broker did not take it", f"{error}; send it again, with the same key", 1
            )
        metrics.INGEST_BYTES.inc(len(body))
        return JSONResponse({"id": event.id, "bytes": len(body)}, 202)


def split(body: bytes) -> Iterator[bytes]:
    """Cut a body at line ends into payloads of at most MAX_PAYLOAD_BYTES.

    A line longer than that comes out as one payload, for the caller to refuse.
    """
    start = 0
    while start < len(body):
        end = start + MAX_PAYLOAD_BYTES
        if end < len(body):
            cut = body.rfind(b"\n", start, end)
            if cut < 0:
                cut = body.find(b"\n", end)
            end = len(body) if cut < 0 else cut + 1
        yield body[start:end]
        start = end
