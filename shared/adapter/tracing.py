"""Traces: a span an event and stage, joined from the bridge on by the event's `traceparent`.

They are on where OTEL_EXPORTER_OTLP_ENDPOINT names a collector; OpenTelemetry's SDK reads its other
variables (OTEL_TRACES_SAMPLER, OTEL_EXPORTER_OTLP_HEADERS, OTEL_RESOURCE_ATTRIBUTES) itself.
Without it an event's traceparent is passed on unchanged.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Mapping
from typing import Final, Protocol

from shared.adapter.event import Event, OutgoingEvent
from shared.runtime.settings import SettingsError
from shared.wire import events

TRACEPARENT: Final = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")
"""A valid traceparent: W3C Trace Context."""


class Traced(Protocol):
    """One event's processing in a stage.

    `traceparent`: for its outputs. `trace_id`: for logs. Both are empty without tracing.
    """

    traceparent: str
    trace_id: str

    def answered(self, outcome: str, status: int, error: BaseException | None = None) -> None:
        """Note how it ended."""
        ...


class Tracing(Protocol):
    """Makes the spans of a stage."""

    def event(self, event: Event) -> contextlib.AbstractContextManager[Traced]:
        """Trace the processing of an event."""
        ...

    def sending(
        self, event: OutgoingEvent, parent: str = ""
    ) -> contextlib.AbstractContextManager[str]:
        """Trace a new event until the broker has it; yields its traceparent.

        `parent`: the client's, if it sent one.
        """
        ...


class _Passed:
    def __init__(self, traceparent: str) -> None:
        self.traceparent = traceparent
        self.trace_id = traceparent.split("-")[1] if traceparent.count("-") >= 3 else ""

    def answered(self, outcome: str, status: int, error: BaseException | None = None) -> None:
        """Nobody asks."""


class NoTracing:
    """Passes the traceparent on unchanged."""

    @contextlib.contextmanager
    def event(self, event: Event) -> Iterator[Traced]:
        """Trace nothing."""
        yield _Passed(event.attributes.get(events.TRACEPARENT, ""))

    @contextlib.contextmanager
    def sending(self, event: OutgoingEvent, parent: str = "") -> Iterator[str]:
        """Trace nothing."""
        yield parent


def tracing(stage: str, mapping: Mapping[str, str]) -> Tracing:
    """Return the configured tracing. Raises SettingsError without the extra `otel`."""
    endpoint = mapping.get("OTEL_EXPORTER_OTLP_ENDPOINT", "")
    if not endpoint:
        return NoTracing()
    try:
        from shared.adapter.spans import OpenTelemetry
    except ImportError as error:
        raise SettingsError(
            "OTEL_EXPORTER_OTLP_ENDPOINT is set, but OpenTelemetry is not installed: install the"
            f" extra `otel` ({error})"
        ) from error
    return OpenTelemetry.over_http(stage, endpoint)
