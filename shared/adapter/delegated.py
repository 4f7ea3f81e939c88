"""Entry of a function: its requests, passed on to an ASGI app."""

from __future__ import annotations

from typing import Any

import functions_framework.aio
from starlette.requests import Request
from starlette.types import ASGIApp


def served(target: str, app: ASGIApp) -> Any:
    """Return the function `target` of functions-framework: the app answers every request.

    functions-framework calls what a function returns as an ASGI app, so streaming and routing work
    behind its single catch-all route.
    """

    async def function(_: Request) -> Any:
        return app

    function.__name__ = target  # registered by it
    return functions_framework.aio.http(function)
