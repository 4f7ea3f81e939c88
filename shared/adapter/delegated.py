"""Entry of a function: its requests, passed on to an ASGI app."""

from __future__ import annotations

from typing import Any

import functions_framework.aio
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send


class Delegated(Response):
    """A response that delegates the request to another ASGI app.

    functions-framework calls the Response that a function returns as an ASGI app, so streaming and
    routing work behind its single catch-all route.
    """

    def __init__(self, app: ASGIApp) -> None:
        super().__init__()
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve the request with the other app."""
        await self._app(scope, receive, send)


def served(target: str, app: ASGIApp) -> Any:
    """Return the function `target` of functions-framework: the app answers every request."""

    async def function(_: Request) -> Response:
        return Delegated(app)

    function.__name__ = target  # registered by it
    return functions_framework.aio.http(function)
