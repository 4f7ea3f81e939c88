"""Traces: a span an event and stage, joined from the bridge on by the event's `traceparent`.

They are on where OTEL_EXPORTER_OTLP_ENDPOINT names a collector; OpenTelemetry's SDK reads its other
variables (OTEL_TRACES_SAMPLER, OTEL_EXPORTER_OTLP_HEADERS, OTEL_RESOURCE_ATTRIBUTES) itself.
Without it an event's traceparent is passed on unchanged.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Mapping
from typing import Final

from shared.adapter.event import Event, OutgoingEvent
from shared.runtime.settings import SettingsError
from shared.wire import events

TRACEPARENT: Final = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")
"""A valid traceparent: W3C Trace Context."""


class Traced:
    """One event's processing in a stage, here without a span.

    `traceparent`: for its outputs. `trace_id`: for logs. Both are empty if unknown.
    """

    def __init__(self, traceparent: str) -> None:
        self.traceparent = traceparent
        self.trace_id = traceparent.split("-")[1] if traceparent.count("-") >= 3 else ""

    def answered(self, outcome: str, status: int, error: BaseException | None = None) -> None:
        """Note how it ended."""


class Tracing:
    """Makes the spans of a stage; this one makes none and passes the traceparent on unchanged."""

    @contextlib.contextmanager
    def event(self, event: Event) -> Iterator[Traced]:
        """Trace the processing of an event."""
        yield Traced(event.attributes.get(events.TRACEPARENT, ""))

    @contextlib.contextmanager
    def sending(self, event: OutgoingEvent, parent: str = "") -> Iterator[str]:
        """Trace a new event, child of `parent`, until the broker has it; yields its traceparent."""
        yield parent


def tracing(stage: str, mapping: Mapping[str, str]) -> Tracing:
    """Return the configured tracing. Raises SettingsError without the extra `otel`."""
    endpoint = mapping.get("OTEL_EXPORTER_OTLP_ENDPOINT", "")
    if not endpoint:
        return Tracing()
    try:
        from shared.adapter.spans import OpenTelemetry
    except ImportError as error:
        raise SettingsError(
            "OTEL_EXPORTER_OTLP_ENDPOINT is set, but OpenTelemetry is not installed: install the"
            f" extra `otel` ({error})"
        ) from error
    return OpenTelemetry.over_http(stage, endpoint)
