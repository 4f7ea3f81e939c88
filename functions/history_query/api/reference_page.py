"""GET /docs and /: the API's reference as a page, from built files, without internet."""

from __future__ import annotations

from html import escape
from pathlib import Path
from typing import Final

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

from functions.history_query.api.reference import reference

BUILT: Final = Path(__file__).parent / "docs_page"
"""Built by `make dashboard`; included in the image and the wheel."""

_SECURE: Final = {
    "content-security-policy": (
        "default-src 'self'; img-src 'self' data:; style-src 'self' 'unsafe-inline';"
        " frame-ancestors 'none'; base-uri 'none'"
    ),
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
}


OPEN_PATHS: Final = ("/", "/docs", "/docs/", "/openapi.json")
"""What a browser loads before it can send a token: the page has a field for it (Authorize)."""


def page_routes() -> list[BaseRoute]:
    """Return GET /docs, GET / and the page's files; plain text if the page was not built."""

    async def page(request: Request) -> Response:
        file = BUILT / "index.html"
        text = file.read_text() if file.is_file() else f"<pre>{escape(reference())}</pre>"
        return HTMLResponse(text, headers=_SECURE)

    return [
        Route("/", page),
        Route("/docs", page),
        Mount("/docs", StaticFiles(directory=BUILT, check_dir=False)),
    ]
