"""An OpenTelemetry collector in a thread, which takes spans by OTLP over HTTP."""

from __future__ import annotations

import threading
from collections import deque
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span


class Collector:
    """Takes OTLP over HTTP; the last 20,000 spans are kept."""

    def __init__(self) -> None:
        self.spans: deque[Span] = deque(maxlen=20_000)
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
        (span,) = [
            s for s in list(self.spans) if self.attributes(s)["cloudevents.event_id"] == event_id
        ]
        return span, self.attributes(span)

    def trace(self, trace_id: str) -> list[Span]:
        """The spans of a trace, in received order."""
        return [each for each in list(self.spans) if each.trace_id.hex() == trace_id]

    def attributes(self, span: Span) -> dict[str, str]:
        """A span's attributes as text."""
        return {
            each.key: each.value.string_value or str(each.value.int_value)
            for each in span.attributes
        }

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
