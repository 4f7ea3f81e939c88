"""The history API's app: the routes of every topic, the description, health, and no others."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from functions.history_query.api.endpoints import ConcurrencyLimits, Handlers, as_json, endpoint_of
from functions.history_query.api.openapi import DOCUMENT, parameters_of
from functions.history_query.api.reference_page import page_routes
from shared.adapter.health import Check, health_routes
from shared.runtime.problem import problem


def api(topics: Iterable[Handlers], ready: Check, writes: Sequence[Route] = ()) -> Starlette:
    """Return the app. `writes`: routes of other methods than GET."""
    handlers = {path: handler for topic in topics for path, handler in topic.items()}
    limits = ConcurrencyLimits()
    parameters = {path: parameters_of(path) for path in handlers}
    handlers["/openapi.json"] = _openapi
    # A symbol takes slashes, so what follows one is tried before the symbol alone.
    ordered = sorted(handlers, key=lambda path: path.endswith("{symbol}"))
    return Starlette(
        routes=[
            *(
                Route(
                    path.replace("{symbol}", "{symbol:path}"),
                    endpoint_of(handlers[path], limits, parameters.get(path)),
                )
                for path in ordered
            ),
            *writes,
            *page_routes(),
            *health_routes(ready),
        ],
        exception_handlers={404: _no_such_route, 405: _no_such_method},
    )


def _openapi(request: Request) -> Response:
    return as_json(DOCUMENT)


async def _no_such_route(request: Request, error: Exception) -> Response:
    return problem(404, "no such route", f"there are {', '.join(DOCUMENT['paths'])}")


async def _no_such_method(request: Request, error: Exception) -> Response:
    return problem(405, "no such method", "every route answers GET; /api/alert-rules others too")
