"""Traces over a real OTLP receiver, and logs as JSON lines, of a function in its own process."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from shared.adapter.event import Event
from shared.adapter.tracing import NoTracing, tracing
from shared.settings import SettingsError
from tests.local.broker.processes import eventually
from tests.local.broker.subscriber import Subscriber
from tests.shared.adapter.test_app import Function, started

TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


class Collector:
    """Takes what OTLP over HTTP brings."""

    def __init__(self) -> None:
        self.spans: list[Span] = []
        self.services: set[str] = set()
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                assert self.path == "/v1/traces"
                for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
                    for each in resource.resource.attributes:
                        if each.key == "service.name":
                            collector.services.add(each.value.string_value)
                    for scope in resource.scope_spans:
                        collector.spans += scope.spans
                self.send_response(200)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                return

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def span(self, event_id: str) -> tuple[Span, dict[str, str]]:
        """The one span of an event, and its attributes as text."""
        (span,) = [s for s in self.spans if self._attributes(s)["cloudevents.event_id"] == event_id]
        return span, self._attributes(span)

    def _attributes(self, span: Span) -> dict[str, str]:
        return {
            each.key: each.value.string_value or str(each.value.int_value)
            for each in span.attributes
        }

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


class Told:
    """What one function's life left behind: spans, log lines, and the events it emitted."""

    def __init__(self, collector: Collector, subscriber: Subscriber, log: str) -> None:
        self.collector = collector
        self.subscriber = subscriber
        self.log = log
        self.lines: list[dict[str, Any]] = [json.loads(line) for line in log.splitlines()]

    def line(self, event_id: str) -> dict[str, Any]:
        (line,) = [each for each in self.lines if each.get("event_id") == event_id]
        return line


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Told:
    """A function that was sent five events and then stopped, so that nothing is under way."""
    collector, subscriber = Collector(), Subscriber()
    function = Function(
        tmp_path_factory.mktemp("traced"),
        subscriber,
        f"{subscriber.url}/events",
        OTEL_EXPORTER_OTLP_ENDPOINT=collector.url,
        LOG_FORMAT="json",
    )
    try:
        started(function)
        function.send("child", behave="emit", traceparent=f"00-{TRACE}-{PARENT}-01", shard="3")
        function.send("empty", behave="emit", traceparent="")
        function.send("odd", behave="emit", traceparent="no trace")
        function.send("bad", behave="defect", traceparent=f"00-{TRACE}-{PARENT}-01", shard="3")
        function.send("spoilt", behave="permanent")
        eventually(lambda: len(collector.spans) == 5, 30)
    finally:
        function.stop()
        collector.close()
        subscriber.close()
    return Told(collector, subscriber, function.log.read_text())


def test_a_span_stands_below_its_senders_and_above_what_it_emits(told: Told) -> None:
    """Outputs carry the stage's own traceparent, so the next stage's span is its child."""
    span, attributes = told.collector.span("child")
    assert span.trace_id.hex() == TRACE
    assert span.parent_span_id.hex() == PARENT
    assert span.name == "scripted test"
    assert attributes["kandle.stage"] == "scripted"
    assert attributes["kandle.shard"] == "3"
    assert attributes["kandle.outcome"] == "ok"
    assert attributes["kandle.body_bytes"] == "4"
    assert told.collector.services == {"scripted"}
    for n in range(3):
        (out,) = told.subscriber.of(f"child/scripted/{n}")
        assert out.headers["ce-traceparent"] == f"00-{TRACE}-{span.span_id.hex()}-01"


@pytest.mark.parametrize("event_id", ["empty", "odd"])
def test_without_a_usable_traceparent_a_trace_begins(told: Told, event_id: str) -> None:
    """An empty traceparent counts as none: brokers are known to send it."""
    span, _ = told.collector.span(event_id)
    assert not span.parent_span_id
    (out,) = told.subscriber.of(f"{event_id}/scripted/0")
    _, trace, parent, _ = out.headers["ce-traceparent"].split("-")
    assert (trace, parent) == (span.trace_id.hex(), span.span_id.hex())


def test_errors_are_in_the_span(told: Told) -> None:
    """A defect with its traceback; what can never be processed with its code."""
    span, attributes = told.collector.span("bad")
    assert span.status.code == Status.STATUS_CODE_ERROR
    assert attributes["kandle.outcome"] == "defect"
    assert attributes["http.response.status_code"] == "500"
    (exception,) = span.events
    assert "ZeroDivisionError" in str(exception)
    _, attributes = told.collector.span("spoilt")
    assert attributes["kandle.outcome"] == "bad_batch"


def test_every_line_is_json_with_its_event(told: Told) -> None:
    """Also from a worker thread; a traceback is one field and breaks no line."""
    line = told.line("bad")
    assert line["level"] == "ERROR"
    assert line["stage"] == "scripted"
    assert line["shard"] == "3"
    assert line["trace_id"] == TRACE
    assert line["event_type"] == "test"
    assert line["exc_info"].startswith("Traceback")
    assert "ZeroDivisionError: a defect" in line["exc_info"]
    assert line["timestamp"]
    assert "bad_batch" in told.line("spoilt")["message"]


def test_without_a_collector_a_traceparent_is_handed_on() -> None:
    """And an event without one gets none."""
    event = Event("1", "t", "/s", {"traceparent": f"00-{TRACE}-{PARENT}-01"}, b"")
    with NoTracing().event(event) as traced:
        assert traced.traceparent == f"00-{TRACE}-{PARENT}-01"
        assert traced.trace_id == TRACE
    with tracing("x", {}).event(Event("1", "t", "/s", {}, b"")) as traced:
        assert (traced.traceparent, traced.trace_id) == ("", "")


def test_a_log_that_is_neither_is_refused(tmp_path: Path) -> None:
    """Bad words are reported by name."""
    from shared.adapter.logs import configure_logging

    with pytest.raises(SettingsError, match=r"LOG_FORMAT.*\n.*LOG_LEVEL"):
        configure_logging({"LOG_FORMAT": "xml", "LOG_LEVEL": "loud"})
