"""Wiring of a stage's handler into its app: sink, dead letters, logs, traces and memory."""

from __future__ import annotations

from collections.abc import Mapping

from shared.adapter.app import EventApp, Handler
from shared.adapter.display import Display
from shared.adapter.health import Check, bound
from shared.adapter.identity import Identity
from shared.adapter.logs import configure_logging
from shared.adapter.sink import Sink
from shared.adapter.tracing import tracing
from shared.runtime.memory import settle


def event_app(
    stage: str,
    handle: Handler,
    mapping: Mapping[str, str],
    *,
    concurrency: int = 1,
    inline_bytes: int = 0,
    ready: Check | None = None,
    emits: bool = False,
) -> EventApp:
    """Wire a stage to its environment.

    Without K_SINK a stage that `emits` is live but not ready: its SinkBinding may come later.

    It reads K_SINK, DISPLAY_SINK, their tokens, K_CE_OVERRIDES, K_SERVICE, NAMESPACE,
    DEAD_LETTER_URL, LOG_LEVEL, LOG_FORMAT and OTEL_EXPORTER_OTLP_ENDPOINT.
    """
    configure_logging(mapping)
    settle()
    service = mapping.get("K_SERVICE", stage)
    display_url = mapping.get("DISPLAY_SINK", "")
    dead_letter_url = mapping.get("DEAD_LETTER_URL", "")
    sink = Sink.from_env(mapping, f"/kandle/{stage}")
    display = None
    if display_url:
        identity = Identity.for_display(mapping)
        display = Display(Sink(display_url, f"/kandle/{stage}", identity=identity))
    return EventApp(
        stage=stage,
        handle=handle,
        sink=sink,
        display=display,
        dead_letters=Sink(dead_letter_url, f"/kandle/{stage}") if dead_letter_url else None,
        namespace=mapping.get("NAMESPACE", "default"),
        address=f"http://{service}.{{namespace}}.svc.cluster.local",
        concurrency=concurrency,
        inline_bytes=inline_bytes,
        ready=bound(sink, ready) if emits else ready,
        tracing=tracing(stage, mapping),
    )
