"""GET /api/symbols: the list of instruments."""

from __future__ import annotations

from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from functions.history_query.api import openapi_schemas as spec
from functions.history_query.api.endpoints import Handlers, as_json
from functions.history_query.queries.symbols import Symbols

PART: Final = spec.Part(
    {
        "/api/symbols": spec.get(
            "All instruments, with the times of their first and last trade and their number.",
            spec.list_of("Symbol"),
            refusals=(400, 503),
        ),
    },
    {
        "Symbol": spec.object_of(
            {"symbol": spec.NAME, "first": spec.MS, "last": spec.MS, "n": spec.COUNT}
        )
    },
)


def handlers(symbols: Symbols) -> Handlers:
    """Return the handlers of the routes."""

    def every(request: Request) -> Response:
        return as_json(symbols.all())

    return {"/api/symbols": every}
