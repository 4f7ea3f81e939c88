"""OpenAPI 3.1 document of the history API, for its reference page and client generators."""

from __future__ import annotations

from typing import Final

from functions.history_query import topics
from functions.history_query.api.openapi_schemas import Json, get, schemas
from functions.history_query.api.topic import Topic

_SERVICE: Final = Topic(
    schemas(
        """
        Problem
          title   string
          status  integer
          detail  string
        """
    ),
    paths={
        "/openapi.json": get("This document.", {"type": "object"}, refusals=()),
        **{
            path: get(
                "This reference as an HTML page.", "string", refusals=(), media_type="text/html"
            )
            for path in ("/docs", "/")
        },
        **{
            path: get(summary, "string", refusals=(), media_type="text/plain")
            for path, summary in {
                "/health": "Liveness.",
                "/health/liveness": "Liveness.",
                "/health/readiness": "Readiness: 503 while a store is unavailable.",
                "/ready": "Readiness: 503 while a store is unavailable.",
                "/startup": "Readiness: 503 while a store is unavailable.",
                "/metrics": "Prometheus metrics.",
            }.items()
        },
    },
)

_TOPICS: Final[dict[str, Topic]] = {
    **{topic.__name__.rpartition(".")[2].replace("_", " "): topic.TOPIC for topic in topics.ALL},
    "service": _SERVICE,
}
"""By operation tag, the topic's name."""


def _tagged(tag: str, item: Json) -> Json:
    return {method: {"tags": [tag], **operation} for method, operation in item.items()}


DOCUMENT: Final[Json] = {
    "openapi": "3.1.0",
    "info": {
        "title": "Kandle history",
        "version": "1",
        "description": "Exact candles and prices from live and stored data. Every error is"
        " application/problem+json and names the parameter and the fix. One answer of more than"
        " 2,000 rows is computed at a time, and four smaller ones; others wait. Whole ranges"
        " (`limit=all`) are read and sent page by page to four clients at once; another waits 10 s,"
        " then gets 503. A client that reads nothing of its own for 60 s is disconnected.",
    },
    "servers": [{"url": "/"}],
    "security": [{}, {"token": []}],
    "tags": [{"name": tag} for tag in _TOPICS],
    "paths": {
        path: _tagged(tag, item)
        for tag, topic in _TOPICS.items()
        for path, item in topic.paths.items()
    },
    "components": {
        "schemas": {
            name: item for topic in _TOPICS.values() for name, item in topic.schemas.items()
        },
        "securitySchemes": {
            "token": {
                "type": "http",
                "scheme": "bearer",
                "description": "One of API_TOKENS, if the server has any.",
            }
        },
    },
}


def parameters_of(path: str) -> set[str]:
    """Return the names of the parameters that a GET takes in its query."""
    described = DOCUMENT["paths"][path]["get"].get("parameters", ())
    return {each["name"] for each in described if each["in"] == "query"}
