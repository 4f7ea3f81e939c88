"""Delegation of a function's request to another ASGI app."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from starlette.responses import Response
from starlette.types import Receive, Scope, Send


class Delegated(Response):
    """A response that delegates the request to another ASGI app.

    functions-framework calls the Response that a function returns as an ASGI app, so streaming and
    routing work behind its single catch-all route.
    """

    def __init__(self, app: Callable[[Scope, Receive, Send], Awaitable[None]]) -> None:
        super().__init__()
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve the request with the other app."""
        await self._app(scope, receive, send)
