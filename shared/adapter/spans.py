"""OpenTelemetry spans: imported only if tracing is on, since it is an extra."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Span, SpanKind, Status, StatusCode, Tracer, set_span_in_context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from shared.adapter.event import Event, OutgoingEvent
from shared.adapter.tracing import Traced, Tracing
from shared.wire import events

_SEND_EACH_MS = 1000
_W3C = TraceContextTextMapPropagator()


class Spanned(Traced):
    """One event's processing in a stage, as a span."""

    def __init__(self, span: Span) -> None:
        carrier: dict[str, str] = {}
        _W3C.inject(carrier, set_span_in_context(span))
        super().__init__(carrier.get(events.TRACEPARENT, ""))
        self._span = span

    def answered(self, outcome: str, status: int, error: BaseException | None = None) -> None:
        """Record the response, and the error with its traceback."""
        self._span.set_attribute("kandle.outcome", outcome)
        self._span.set_attribute("http.response.status_code", status)
        if error is not None:
            self._span.record_exception(error)
            self._span.set_status(Status(StatusCode.ERROR, str(error)))


class OpenTelemetry(Tracing):
    """Spans of one stage, sent in batches by a thread of the SDK."""

    def __init__(self, stage: str, tracer: Tracer) -> None:
        self._stage = stage
        self._tracer = tracer

    @classmethod
    def over_http(cls, stage: str, endpoint: str) -> OpenTelemetry:
        """Export to a collector once a second: SIGTERM may cut off what is younger."""
        names = {"service.name": stage, "service.namespace": "kandle"}
        provider = TracerProvider(resource=Resource.create(names))
        exporter = OTLPSpanExporter(f"{endpoint.rstrip('/')}/v1/traces")
        provider.add_span_processor(
            BatchSpanProcessor(exporter, schedule_delay_millis=_SEND_EACH_MS)
        )
        return cls(stage, provider.get_tracer("kandle"))

    @contextlib.contextmanager
    def event(self, event: Event) -> Iterator[Spanned]:
        """Open a child of the sender's span; without one, or a malformed one, a new trace."""
        parent = event.attributes.get(events.TRACEPARENT, "")
        with self._span(event, parent, SpanKind.CONSUMER) as span:
            span.set_attribute("cloudevents.event_source", event.source)
            yield Spanned(span)

    @contextlib.contextmanager
    def sending(self, event: OutgoingEvent, parent: str = "") -> Iterator[str]:
        """Open a span that ends when the broker has the event, however often it takes to send."""
        with self._span(event, parent, SpanKind.PRODUCER) as span:
            yield Spanned(span).traceparent

    def _span(
        self, event: Event | OutgoingEvent, parent: str, kind: SpanKind
    ) -> contextlib.AbstractContextManager[Span]:
        attributes: dict[str, str | int] = {
            "cloudevents.event_id": event.id,
            "cloudevents.event_type": event.type,
            "kandle.stage": self._stage,
            "kandle.body_bytes": len(event.body),
        }
        context = _W3C.extract({events.TRACEPARENT: parent}, Context())
        return self._tracer.start_as_current_span(
            f"{self._stage} {event.type}", context, kind, attributes
        )
