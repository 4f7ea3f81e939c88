"""The event adapter: an ASGI app between functions-framework and a stage's handler.

One request is one event. The steps run in this order, so that nothing is lost and nothing is
acknowledged before it is safe:
1. Parse the CloudEvent (400 with a reason if it is not one: it did not come from a broker).
2. Wait for a slot: at most `concurrency` events run, `MAX_WAITING` wait, further ones get 503.
3. Run the handler, in a worker thread if it is a plain function, so that probes stay live; but
   inline for up to `inline_bytes` of data, which take less time than the thread's turn.
4. Offer its `show` to DISPLAY_SINK without waiting: a redelivery may have nothing to show.
5. Emit its outputs to K_SINK and wait until the broker has them.
6. Run its `after_emit` (mark as published).
7. Answer 204 with an empty body: the broker takes any other body for a failed reply. Only an
   outcome with a `reply` answers with that event, for requests that did not come from a broker.
A TransientError answers 503: the channel redelivers. A PermanentError is recorded whole as a dead
letter, then answered 204. Any other exception is a defect: 500, redelivered and in the end
dead-lettered. Events never get a 4xx: the channel would drop them.
"""

from __future__ import annotations

import asyncio
import base64
import contextvars
import inspect
import logging
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Final, cast

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import Receive, Scope, Send

from shared.adapter.display import Display
from shared.adapter.event import (
    MAX_BODY_BYTES,
    Event,
    NotACloudEventError,
    OutgoingEvent,
    parse,
)
from shared.adapter.health import Check, health_routes
from shared.adapter.logs import fields
from shared.adapter.sink import Sink
from shared.adapter.tracing import Traced, Tracing
from shared.errors import PermanentError, TransientError
from shared.runtime import metrics
from shared.runtime.problem import read_body
from shared.wire import events

log = logging.getLogger(__name__)

MAX_WAITING: Final = 64


@dataclass(slots=True, eq=False)
class Emission:
    """Events shared by the outcomes of several events: emitted once, by the first to finish.

    The others are acknowledged when it is done, and redelivered if it fails.
    """

    emit: Sequence[OutgoingEvent]
    after_emit: Callable[[], None] | None = None
    task: asyncio.Task[None] | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """Outcome of an event: events to emit, and a step to run once they are accepted.

    The step may return a further outcome of the same event. `show`: events for screens, offered to
    Broker display, which may lose them. `reply`: the response itself, for an event sent directly by
    another function.
    """

    emit: Sequence[OutgoingEvent] = ()
    after_emit: Callable[[], Outcome | None] | None = None
    shared: Sequence[Emission] = ()
    show: Sequence[OutgoingEvent] = ()
    reply: OutgoingEvent | None = None

    @classmethod
    def together(cls, outcomes: Iterable[Outcome]) -> Outcome:
        """Combine outcomes: emit all, then run the steps of all."""
        parts = list(outcomes)
        steps = [each.after_emit for each in parts if each.after_emit is not None]

        def run_all() -> Outcome | None:
            further = [outcome for step in steps if (outcome := step()) is not None]
            return cls.together(further) if further else None

        return cls(
            [output for each in parts for output in each.emit],
            run_all if steps else None,
            [emission for each in parts for emission in each.shared],
            [output for each in parts for output in each.show],
        )


Handler = Callable[[Event], Outcome | Awaitable[Outcome]]


@dataclass(eq=False)
class EventApp:
    """The ASGI app of one stage.

    `stage`: the function's name; `sink`: K_SINK or None; `display`: takes events for screens;
    `dead_letters`: sink of events that can never be processed; `address`: this function's own,
    under which its dead letters are replayed, with `{namespace}` for the broker's, or else
    `namespace`; `concurrency`: events processed at once; `inline_bytes`: a plain handler that never
    waits handles less data in the event loop; `ready` raises TransientError while a store is away.
    """

    stage: str
    handle: Handler
    sink: Sink | None = None
    display: Display | None = None
    dead_letters: Sink | None = None
    address: str = ""
    namespace: str = "default"
    concurrency: int = 1
    inline_bytes: int = 0
    ready: Check | None = None
    tracing: Tracing = field(default_factory=Tracing)

    def __post_init__(self) -> None:
        self._places = asyncio.Semaphore(self.concurrency)
        self._waiting = 0
        self._handles_async = inspect.iscoroutinefunction(
            self.handle
        ) or inspect.iscoroutinefunction(type(self.handle).__call__)
        self._workers = ThreadPoolExecutor(self.concurrency, thread_name_prefix=self.stage)
        # An alert sees the first failure only if the series was exported as 0 before.
        for outcome in ("ok", "busy", "transient", "defect"):
            metrics.EVENTS_RECEIVED.labels(self.stage, outcome)
        self._others = Starlette(routes=health_routes(self.ready))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] == "http" and (scope["method"], scope["path"]) == ("POST", "/"):
            response = await answered(Request(scope, receive), self.deliver)
            await response(scope, receive, send)
        else:
            await self._others(scope, receive, send)

    async def deliver(self, event: Event, namespace: str) -> Response:
        """Process an event; return the answer to the broker, which is in `namespace`."""
        if self._waiting >= MAX_WAITING:
            return _answer(self.stage, 503, "busy", f"{MAX_WAITING} events are waiting")
        self._waiting += 1
        try:
            await self._places.acquire()
        finally:
            self._waiting -= 1
        started = time.perf_counter()
        try:
            return await self._process(event, namespace)
        finally:
            self._places.release()
            metrics.EVENT_SECONDS.labels(self.stage).observe(time.perf_counter() - started)

    async def _process(self, event: Event, namespace: str) -> Response:
        stage = self.stage
        with (
            self.tracing.event(event) as traced,
            fields(
                event_id=event.id,
                event_type=event.type,
                stage=stage,
                trace_id=traced.trace_id,
            ),
        ):
            try:
                return await self._worked(event, namespace, traced)
            except TransientError as error:
                log.warning("event %s will be delivered again: %s", event.id, error)
                traced.answered("transient", 503, error)
                return _answer(stage, 503, "transient", str(error), error.retry_after_s)
            except Exception as error:
                log.exception("event %s met a defect", event.id)
                traced.answered("defect", 500, error)
                return _answer(stage, 500, "defect", f"{type(error).__name__}: {error}")

    async def _worked(self, event: Event, namespace: str, traced: Traced) -> Response:
        try:
            response = await self._finish(event, await self._run(event), traced)
            traced.answered("ok", response.status_code)
            return response
        except PermanentError as error:
            log.error("event %s can never be processed: %s: %s", event.id, error.code, error)
            await self._record(event, error, namespace)
            traced.answered(error.code, 204, error)
            return _answer(self.stage, 204, error.code)

    async def _run(self, event: Event) -> Outcome:
        handle = self.handle
        if self._handles_async:
            return await cast(Awaitable[Outcome], handle(event))
        if 0 <= event.data_bytes() < self.inline_bytes:
            return cast(Outcome, handle(event))
        return cast(Outcome, await self._in_worker(handle, event))

    async def _in_worker(self, work: Callable[..., Any], *arguments: Any) -> Any:
        """Run it in a worker thread with the event's log fields and span."""
        context = contextvars.copy_context()
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._workers, context.run, work, *arguments)

    async def _finish(self, event: Event, outcome: Outcome, traced: Traced) -> Response:
        if outcome.show and self.display is not None:
            self.display.offer(outcome.show, traced.traceparent)
        if self.sink is None:
            emits = [*outcome.emit, *(each for group in outcome.shared for each in group.emit)]
            if emits:
                return self._reply(emits)
        for emission in outcome.shared:
            if emission.task is None:
                emission.task = asyncio.create_task(self._emit_shared(emission, traced.traceparent))
            await asyncio.shield(emission.task)
        await self._emit(outcome.emit, traced.traceparent)
        further = None
        if outcome.after_emit is not None:
            further = await self._in_worker(outcome.after_emit)
        if further is not None:
            return await self._finish(event, further, traced)
        if outcome.reply is not None:
            return self._reply([outcome.reply])
        return _answer(self.stage, 204, "ok")

    async def _emit_shared(self, emission: Emission, traceparent: str | None) -> None:
        await self._emit(emission.emit, traceparent)
        if emission.after_emit is not None:
            await self._in_worker(emission.after_emit)

    async def _emit(self, outputs: Sequence[OutgoingEvent], traceparent: str | None) -> None:
        if outputs and self.sink is not None:
            await self.sink.emit(outputs, traceparent)
            metrics.EVENTS_EMITTED.labels(self.stage).inc(len(outputs))

    def _reply(self, outputs: Sequence[OutgoingEvent]) -> Response:
        """Without K_SINK (`kn func invoke`) a single output is the reply."""
        if len(outputs) != 1:
            return _answer(
                self.stage,
                500,
                "no_sink",
                f"{len(outputs)} events to emit and K_SINK is not set: add a SinkBinding",
            )
        output = outputs[0]
        return Response(output.body, 200, output.headers(f"/kandle/{self.stage}", {}))

    async def _record(self, event: Event, error: PermanentError, namespace: str) -> None:
        """Post the event to the dead letter sink like the dispatcher: whole, with its error."""
        if self.dead_letters is None:
            raise TransientError(
                f"DEAD_LETTER_URL is not set, and the event is not to be lost: {error}"
            )
        text = f"{error.code}: {error}".encode()[:1024]
        headers = {
            f"ce-{name}": value
            for name, value in event.attributes.items()
            if name != "datacontenttype"
        }
        headers["content-type"] = event.attributes.get("datacontenttype", events.PROTOBUF)
        headers[f"ce-{events.DEAD_LETTER_DESTINATION}"] = self.address.format(
            namespace=namespace or self.namespace
        )
        headers[f"ce-{events.DEAD_LETTER_CODE}"] = "422"
        headers[f"ce-{events.DEAD_LETTER_DATA}"] = base64.b64encode(text).decode()
        await self.dead_letters.post(headers, event.body)


async def answered(
    request: Request, deliver: Callable[[Event, str], Awaitable[Response]]
) -> Response:
    """Deliver the request's event, with the namespace of its broker; 400 or 413 if it is none."""
    body = await read_body(request, MAX_BODY_BYTES)
    if body is None:
        return PlainTextResponse(f"body exceeds {MAX_BODY_BYTES} bytes", 413)
    try:
        event = parse(request.headers.raw, body)
    except NotACloudEventError as error:
        return PlainTextResponse(str(error), 400)
    return await deliver(event, request.headers.get("kn-namespace", ""))


def _answer(
    stage: str, status: int, outcome: str, text: str = "", retry_after_s: float | None = None
) -> Response:
    metrics.EVENTS_RECEIVED.labels(stage, outcome).inc()
    headers = {} if retry_after_s is None else {"retry-after": str(max(1, round(retry_after_s)))}
    if status == 204:
        return Response(status_code=204)
    return PlainTextResponse(text, status, headers)
