"""The dashboard: its built files, and the configuration of the page."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

BUILT: Final = Path(__file__).parent / "dashboard"
"""Where `make dashboard` puts the page; the image includes it."""

_NOT_BUILT: Final = """Kandle's live feed: WebSocket /ws, Server-Sent Events /sse?channels=...

The dashboard was not built: it needs Node.js 20 or newer. `make dashboard` builds it.
"""
_SECURE: Final = {
    "content-security-policy": (
        "default-src 'self'; connect-src 'self' ws: wss:; img-src 'self' data:;"
        " style-src 'self' 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'"
    ),
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
}


def page_routes(nats_browser_url: str) -> list[BaseRoute]:
    """Return GET / and its files, and GET /config.json."""

    async def config(request: Request) -> Response:
        return JSONResponse(
            {"nats": nats_browser_url or None}, headers={"cache-control": "no-store"}
        )

    async def page(request: Request) -> Response:
        file = BUILT / "index.html"
        if not file.is_file():
            return PlainTextResponse(_NOT_BUILT)
        return Response(file.read_bytes(), media_type="text/html", headers=_SECURE)

    return [
        Route("/", page, methods=["GET"]),
        Route("/config.json", config),
        Mount("/assets", StaticFiles(directory=BUILT / "assets", check_dir=False)),
    ]
