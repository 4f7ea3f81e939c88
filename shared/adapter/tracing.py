"""Traces: a span an event and stage, joined over functions by the event's `traceparent`.

They are on where OTEL_EXPORTER_OTLP_ENDPOINT names a collector; OpenTelemetry's SDK reads its other
variables (OTEL_TRACES_SAMPLER, OTEL_EXPORTER_OTLP_HEADERS, OTEL_RESOURCE_ATTRIBUTES) itself.
Without it an event's traceparent is handed on as it came.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import Protocol

from shared import events
from shared.adapter.event import Event
from shared.settings import SettingsError


class Traced(Protocol):
    """One event's stay in a stage.

    `traceparent`: what its outputs carry. `trace_id`: for logs. Both are empty for none.
    """

    traceparent: str
    trace_id: str

    def answered(self, outcome: str, status: int, error: BaseException | None = None) -> None:
        """Note how it ended."""
        ...


class Tracing(Protocol):
    """Makes the spans of a stage."""

    def event(self, event: Event) -> contextlib.AbstractContextManager[Traced]:
        """Trace an event while it is at work."""
        ...


class _Passed:
    def __init__(self, traceparent: str) -> None:
        self.traceparent = traceparent
        self.trace_id = traceparent.split("-")[1] if traceparent.count("-") >= 3 else ""

    def answered(self, outcome: str, status: int, error: BaseException | None = None) -> None:
        """Nobody asks."""


class NoTracing:
    """Hands on what came."""

    @contextlib.contextmanager
    def event(self, event: Event) -> Iterator[Traced]:
        """Trace nothing."""
        yield _Passed(event.attributes.get(events.TRACEPARENT, ""))


def tracing(stage: str, mapping: Mapping[str, str]) -> Tracing:
    """Return what the environment asks for. Raises SettingsError without the extra `otel`."""
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
