"""Traces over a real OTLP receiver and logs as JSON lines, of a function's own process."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Status

from shared.adapter.event import Event
from shared.adapter.tracing import Tracing, tracing
from shared.runtime.settings import SettingsError
from tests.collector import Collector
from tests.local.broker.processes import eventually
from tests.local.broker.subscriber import Subscriber
from tests.shared.adapter.test_app import Function, started

pytestmark = pytest.mark.processes

TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


class Telemetry:
    """Spans, log lines and emitted events of one function's process."""

    def __init__(self, collector: Collector, subscriber: Subscriber, log: str) -> None:
        self.collector = collector
        self.subscriber = subscriber
        self.log = log
        self.lines: list[dict[str, Any]] = [json.loads(line) for line in log.splitlines()]

    def line(self, event_id: str) -> dict[str, Any]:
        (line,) = [each for each in self.lines if each.get("event_id") == event_id]
        return line


@pytest.fixture(scope="module")
def telemetry(tmp_path_factory: pytest.TempPathFactory) -> Telemetry:
    """Telemetry of a function that was sent five events and then stopped."""
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
        function.send("child", behave="emit", traceparent=f"00-{TRACE}-{PARENT}-01")
        function.send("empty", behave="emit", traceparent="")
        function.send("odd", behave="emit", traceparent="no trace")
        function.send("bad", behave="defect", traceparent=f"00-{TRACE}-{PARENT}-01")
        function.send("spoilt", behave="permanent")
        eventually(lambda: len(collector.spans) == 5, 30)
    finally:
        function.stop()
        collector.close()
        subscriber.close()
    return Telemetry(collector, subscriber, function.log.read_text())


def test_spans_link_sender_and_outputs(telemetry: Telemetry) -> None:
    """A span is the child of its sender's span and the parent of its outputs' spans."""
    span, attributes = telemetry.collector.span("child")
    assert span.trace_id.hex() == TRACE
    assert span.parent_span_id.hex() == PARENT
    assert span.name == "scripted test"
    assert attributes["kandle.stage"] == "scripted"
    assert attributes["kandle.outcome"] == "ok"
    assert attributes["kandle.body_bytes"] == "4"
    assert telemetry.collector.services == {"scripted"}
    for n in range(3):
        (out,) = telemetry.subscriber.of(f"child/scripted/{n}")
        assert out.headers["ce-traceparent"] == f"00-{TRACE}-{span.span_id.hex()}-01"


@pytest.mark.parametrize("event_id", ["empty", "odd"])
def test_without_a_usable_traceparent_a_trace_begins(telemetry: Telemetry, event_id: str) -> None:
    """An empty or missing traceparent begins a new trace."""
    span, _ = telemetry.collector.span(event_id)
    assert not span.parent_span_id
    (out,) = telemetry.subscriber.of(f"{event_id}/scripted/0")
    _, trace, parent, _ = out.headers["ce-traceparent"].split("-")
    assert (trace, parent) == (span.trace_id.hex(), span.span_id.hex())


def test_errors_are_recorded_in_the_span(telemetry: Telemetry) -> None:
    """The span of an exception has its traceback, that of a permanent error its code."""
    span, attributes = telemetry.collector.span("bad")
    assert span.status.code == Status.STATUS_CODE_ERROR
    assert attributes["kandle.outcome"] == "defect"
    assert attributes["http.response.status_code"] == "500"
    (exception,) = span.events
    assert "ZeroDivisionError" in str(exception)
    _, attributes = telemetry.collector.span("spoilt")
    assert attributes["kandle.outcome"] == "bad_batch"


def test_every_line_is_json_with_its_event(telemetry: Telemetry) -> None:
    """Every log line is JSON with its event, also from worker threads and with tracebacks."""
    line = telemetry.line("bad")
    assert line["level"] == "ERROR"
    assert line["stage"] == "scripted"
    assert line["trace_id"] == TRACE
    assert line["event_type"] == "test"
    assert line["exc_info"].startswith("Traceback")
    assert "ZeroDivisionError: a defect" in line["exc_info"]
    assert line["timestamp"]
    assert "bad_batch" in telemetry.line("spoilt")["message"]


def test_without_a_collector_a_traceparent_is_propagated() -> None:
    """Without a collector the traceparent is propagated, and none is invented."""
    event = Event("1", "t", "/s", {"traceparent": f"00-{TRACE}-{PARENT}-01"}, b"")
    with Tracing().event(event) as traced:
        assert traced.traceparent == f"00-{TRACE}-{PARENT}-01"
        assert traced.trace_id == TRACE
    with tracing("x", {}).event(Event("1", "t", "/s", {}, b"")) as traced:
        assert (traced.traceparent, traced.trace_id) == ("", "")


def test_bad_log_settings_are_reported_by_name(tmp_path: Path) -> None:
    """Bad log settings are reported by name."""
    from shared.adapter.logs import configure_logging

    with pytest.raises(SettingsError, match=r"LOG_FORMAT.*\n.*LOG_LEVEL"):
        configure_logging({"LOG_FORMAT": "xml", "LOG_LEVEL": "loud"})
