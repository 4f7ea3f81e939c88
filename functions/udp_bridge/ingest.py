"""POST /ingest: the same formats over HTTP, for senders that want to know that ticks were taken."""

from __future__ import annotations

import hashlib
import re
import time
from dataclasses import replace
from typing import Final

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from functions.udp_bridge.bodies import CUTS, RefusedBodyError
from shared import events, metrics
from shared.adapter.event import OutgoingEvent
from shared.adapter.health import NO_SINK
from shared.adapter.sink import Sink
from shared.adapter.tracing import TRACEPARENT, NoTracing, Tracing
from shared.bridge.batcher import Batch
from shared.errors import TransientError
from shared.problem import problem

_KEY: Final = re.compile(r"[A-Za-z0-9._:-]{1,128}")


class Ingest:
    """Takes a body of ticks, sends it as one raw batch, answers 202 once the broker has it."""

    def __init__(
        self, sink: Sink | None, source: str, max_bytes: int, tracing: Tracing | None = None
    ) -> None:
        self._sink = sink
        self._tracing = tracing or NoTracing()
        self._max_bytes = max_bytes
        self._source = source
        self._batches = self._sequence = 0

    async def post(self, request: Request) -> Response:
        """Answer 202, or say in problem+json what is wrong and whether to try again."""
        if self._sink is None:
            return problem(503, "no broker yet", f"{NO_SINK}; send it again", 1)
        content_type = request.headers.get("content-type", "text/csv").split(";")[0].strip().lower()
        if content_type not in CUTS:
            return problem(
                415,
                "content type is not read",
                f"{content_type}: send text/csv lines, application/json or application/x-ndjson"
                " objects, or application/x-protobuf TickerUpdates",
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
        format_, cut = CUTS[content_type]
        try:
            payloads = cut(bytes(body))
        except RefusedBodyError as error:
            return problem(error.status, error.title, str(error))
        event = self._event(format_, payloads, key, bytes(body))
        try:
            with self._tracing.sending(event, _traceparent(request)) as traceparent:
                await self._sink.emit([event], traceparent)
        except TransientError as error:
            return problem(
                503, "the broker did not take it", f"{error}; send it again, with the same key", 1
            )
        metrics.INGEST_BYTES.inc(len(body))
        return JSONResponse({"id": event.id, "bytes": len(body)}, 202)

    def _event(
        self, format_: int, payloads: list[bytes], key: str | None, body: bytes
    ) -> OutgoingEvent:
        """Return the event. Key and body make its id: another body under a key is another event.

        A repetition has other receive times in it, so the event says that its id stands for it.
        """
        number, sequence = self._batches, self._sequence
        self._batches += 1
        self._sequence += len(payloads)
        batch = Batch(
            f"{self._source}-{number}" if key is None else f"http-{key}-{_digest(body)}",
            format_,
            self._source,
            sequence,
            b"".join(payloads),
            [len(payload) for payload in payloads],
            [time.time_ns() // 1000] * len(payloads),
        )
        # A body is smaller than what one event carries, so it is one event.
        (event, _), *_ = batch.events()
        if key is None:
            return event
        return replace(event, extensions={**event.extensions, events.IDEMPOTENCY_KEY: key})


def _traceparent(request: Request) -> str:
    """Return the client's, so that its trace goes on; nothing for what is none."""
    told = request.headers.get(events.TRACEPARENT, "")
    return told if TRACEPARENT.fullmatch(told) else ""


def _digest(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()[:16]
