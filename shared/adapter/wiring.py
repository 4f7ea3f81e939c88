"""From a stage's handler to its app: sink, dead letters, logs and the process's own clean-up."""

from __future__ import annotations

import logging
from collections.abc import Mapping

from shared.adapter.app import EventApp, Handler, Wiring
from shared.adapter.health import Check
from shared.adapter.sink import Sink
from shared.memory import settle


def event_app(
    stage: str,
    handle: Handler,
    mapping: Mapping[str, str],
    *,
    concurrency: int = 1,
    ready: Check | None = None,
) -> EventApp:
    """Wire a stage to its environment.

    It reads K_SINK, K_CE_OVERRIDES, K_SERVICE, NAMESPACE, DEAD_LETTER_URL and LOG_LEVEL.
    """
    configure_logging(mapping)
    settle()
    service = mapping.get("K_SERVICE", stage)
    dead_letter_url = mapping.get("DEAD_LETTER_URL", "")
    return EventApp(
        Wiring(
            stage=stage,
            handle=handle,
            sink=Sink.from_env(mapping, f"/kandle/{stage}"),
            dead_letters=Sink(dead_letter_url, f"/kandle/{stage}") if dead_letter_url else None,
            namespace=mapping.get("NAMESPACE", "default"),
            address=f"http://{service}.{{namespace}}.svc.cluster.local",
            concurrency=concurrency,
            ready=ready,
        )
    )


def configure_logging(mapping: Mapping[str, str]) -> None:
    """Log to stderr, one line an entry, at LOG_LEVEL (INFO without it)."""
    logging.basicConfig(
        level=mapping.get("LOG_LEVEL", "INFO").upper(),
        format="%(asctime)s %(levelname)s %(name)s %(message)s",
    )
    for noisy in ("httpx", "httpcore"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    # It says of every retry that there is one, and not of what; the last one's failure is told.
    logging.getLogger("stamina").setLevel(logging.ERROR)
