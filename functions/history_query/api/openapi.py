"""The history API described in OpenAPI 3.1, for people and for programs that make clients."""

from __future__ import annotations

from typing import Final

from functions.history_query.api.openapi_schemas import NAME, Json, Part, get, object_of
from functions.history_query.topics import (
    alert_rules,
    alerts,
    bars,
    candles,
    feeds,
    flow,
    indicators,
    latest,
    overview,
    patterns,
    prices,
    rejects,
    symbols,
    ticks,
)

PARTS: Final[tuple[tuple[str, Part], ...]] = (
    ("candles", candles.PART),
    ("bars", bars.PART),
    ("order flow", flow.PART),
    ("indicators", indicators.PART),
    ("ticks", ticks.PART),
    ("prices", prices.PART),
    ("latest", latest.PART),
    ("latest", overview.PART),
    ("symbols", symbols.PART),
    ("feeds", feeds.PART),
    ("patterns", patterns.PART),
    ("alerts", alerts.PART),
    ("alerts", alert_rules.PART),
    ("rejects", rejects.PART),
)
"""Of every topic, under its tag: one that is added is named here and in wiring.py."""

_OWN: Final = Part(
    {
        "/openapi.json": get("This description.", {"type": "object"}),
        **{
            path: get("This reference as a page.", {"type": "string"}, media_type="text/html")
            for path in ("/docs", "/")
        },
        **{
            path: get(summary, {"type": "string"}, media_type="text/plain")
            for path, summary in {
                "/health": "The process lives.",
                "/health/liveness": "The process lives.",
                "/health/readiness": "The stores can be reached; 503 while not.",
                "/ready": "The stores can be reached; 503 while not.",
                "/startup": "The stores can be reached; 503 while not.",
                "/metrics": "Prometheus metrics.",
            }.items()
        },
    },
    {"Problem": object_of({"title": NAME, "status": {"type": "integer"}, "detail": NAME})},
)

_ALL: Final = (*PARTS, ("service", _OWN))


def _tagged(tag: str, item: Json) -> Json:
    """Put each operation of a path under a tag."""
    return {method: {"tags": [tag], **operation} for method, operation in item.items()}


DOCUMENT: Final[Json] = {
    "openapi": "3.1.0",
    "info": {
        "title": "Kandle history",
        "version": "1",
        "description": "Exact candles and prices, over what is live and what is stored. Every"
        " error is application/problem+json and names the parameter and the fix.",
    },
    "servers": [{"url": "/"}],
    "security": [{}, {"token": []}],
    "tags": [{"name": tag} for tag in dict.fromkeys(tag for tag, _ in _ALL)],
    "paths": {path: _tagged(tag, item) for tag, part in _ALL for path, item in part.paths.items()},
    "components": {
        "schemas": {name: item for _, part in _ALL for name, item in part.schemas.items()},
        "securitySchemes": {
            "token": {
                "type": "http",
                "scheme": "bearer",
                "description": "One of API_TOKENS, where the server was given any.",
            }
        },
    },
}
