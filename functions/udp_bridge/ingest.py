"""POST /ingest: the same formats over HTTP, with an acknowledgement."""

from __future__ import annotations

import asyncio
import hashlib
import re
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Final

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from functions.udp_bridge.answer import answer
from functions.udp_bridge.bodies import cut
from functions.udp_bridge.encodings import ACCEPTED, RefusedBodyError, unpacked
from shared.adapter.event import OutgoingEvent
from shared.adapter.health import NO_SINK
from shared.adapter.sink import Sink
from shared.adapter.tracing import TRACEPARENT, Tracing
from shared.errors import TransientError
from shared.inputs.clock import ClockRule
from shared.inputs.columns.parsed import FeedRules
from shared.runtime import metrics
from shared.runtime.problem import problem, read_body
from shared.sources.batcher import Batch
from shared.wire import events

_KEY: Final = re.compile(r"[A-Za-z0-9._:-]{1,128}")


class Ingest:
    """Accepts a body of ticks, sends it as one raw batch, answers 202 once the broker has it.

    The response reports ticks and rejects, by the parser of normalize.
    """

    def __init__(
        self,
        sink: Sink | None,
        source: str,
        max_bytes: int,
        rules: FeedRules,
        clock: ClockRule,
        tracing: Tracing | None = None,
    ) -> None:
        self._sink = sink
        self._tracing = tracing or Tracing()
        self._max_bytes = max_bytes
        self._source = source
        self._rules, self._clock = rules, clock
        self._parser = ThreadPoolExecutor(1, thread_name_prefix="parser")
        self._batches = self._sequence = 0

    async def post(self, request: Request) -> Response:
        """Answer 202, or a problem+json with the error and whether to retry."""
        if self._sink is None:
            return problem(503, "no broker yet", f"{NO_SINK}; send it again", 1)
        key = request.headers.get("idempotency-key")
        if key is not None and _KEY.fullmatch(key) is None:
            return problem(
                400,
                "bad Idempotency-Key",
                "Idempotency-Key must be 1 to 128 of A-Z a-z 0-9 . _ : -",
            )
        body = await read_body(request, self._max_bytes)
        if body is None:
            detail = f"a body may have {self._max_bytes} bytes: send several"
            return problem(413, "body too large", detail)
        try:
            content = unpacked(body, request.headers.get("content-encoding", ""))
            format_, parts = cut(content, request.headers.get("content-type", "text/plain"))
        except RefusedBodyError as error:
            accepted = {"accept-encoding": ACCEPTED} if error.status == 415 else {}
            return problem(error.status, error.title, str(error), headers=accepted)
        batch = self._batch(format_, parts.payloads, key, content)
        summary = await asyncio.get_running_loop().run_in_executor(
            self._parser, answer, batch.raw(), parts, self._rules, self._clock
        )
        events_ = [_keyed(event, key) for event, _ in batch.events()]
        try:
            with self._tracing.sending(events_[0], _traceparent(request)) as traceparent:
                await self._sink.emit(events_, traceparent)
        except TransientError as error:
            return problem(
                503, "the broker did not accept it", f"{error}; send it again, with the same key", 1
            )
        metrics.INGEST_BYTES.inc(len(body))
        return JSONResponse({"id": batch.id, "bytes": len(body), **summary}, 202)

    def _batch(self, format_: int, payloads: list[bytes], key: str | None, body: bytes) -> Batch:
        """Return the batch. Its id is made of key and body: another body is another event."""
        number, sequence = self._batches, self._sequence
        self._batches += 1
        self._sequence += len(payloads)
        return Batch(
            f"{self._source}-{number}" if key is None else f"http-{key}-{_digest(body)}",
            format_,
            self._source,
            sequence,
            b"".join(payloads),
            [len(payload) for payload in payloads],
            [time.time_ns() // 1000] * len(payloads),
        )


def _keyed(event: OutgoingEvent, key: str | None) -> OutgoingEvent:
    """Mark the id as the idempotency key: a repetition has other receive times in its body."""
    if key is None:
        return event
    return replace(event, extensions={**event.extensions, events.IDEMPOTENCY_KEY: key})


def _traceparent(request: Request) -> str:
    """Return the client's traceparent if it is valid, to continue its trace."""
    header = request.headers.get(events.TRACEPARENT, "")
    return header if TRACEPARENT.fullmatch(header) else ""


def _digest(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()[:16]
