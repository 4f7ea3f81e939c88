"""Topics of the API: the description of each route beside its handler."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from functions.history_query.api.openapi_schemas import Json, get
from functions.history_query.queries.readers import Readers

Handler = Callable[[Readers, Request], Response]


@dataclass(frozen=True, slots=True)
class Topic:
    """Operations and blocking handlers by OpenAPI path, and schemas by name.

    `own`: the topic's parameters, by name.
    """

    schemas: Json
    own: Json = field(default_factory=dict)
    paths: Json = field(default_factory=dict)
    handlers: dict[str, Handler] = field(default_factory=dict)

    def get(
        self, path: str, summary: str, answer: Json | str, *parameters: Json | str, **options: Any
    ) -> Callable[[Handler], Handler]:
        """Describe a GET as `openapi_schemas.get` does; the decorated function answers it."""

        def register(handler: Handler) -> Handler:
            self.paths[path] = get(summary, answer, *parameters, own=self.own, **options)
            self.handlers[path] = handler
            return handler

        return register
