"""HTTP beside the feed: the dashboard, the history API under its address, and dead letters."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

import httpx
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

from functions.live_feed.stream import LiveStream
from shared.errors import TransientError
from shared.runtime.dead_letters import DeadLetter
from shared.runtime.problem import page_headers, problem, read_body

BUILT: Final = Path(__file__).parent / "dashboard"
"""Where `make dashboard` puts the page; the image includes it."""

_NOT_BUILT: Final = """Kandle's live feed: WebSocket /ws, Server-Sent Events /sse?channels=...

The dashboard was not built: it needs Node.js 20 or newer. `make dashboard` builds it.
"""
_RESPONSE_HEADERS: Final = (
    *("content-type", "content-encoding", "etag", "cache-control", "link", "retry-after"),
    *("x-kandle-limit", "x-kandle-truncated"),
)
_REQUEST_HEADERS: Final = (
    *("authorization", "accept", "accept-encoding", "if-none-match", "content-type"),
)
_RULES: Final = "/api/alert-rules"
_MAX_BODY_BYTES: Final = 4_096
_NEWEST: Final = 50
_ERROR_CHARACTERS: Final = 300


def page_routes(nats_browser_url: str) -> list[BaseRoute]:
    """Return GET / and its files, and GET /config.json."""

    async def config(request: Request) -> Response:
        body = {"nats": nats_browser_url or None}
        return JSONResponse(body, headers={"cache-control": "no-store"})

    headers = page_headers("connect-src 'self' ws: wss:; ")

    async def page(request: Request) -> Response:
        file = BUILT / "index.html"
        if not file.is_file():
            return PlainTextResponse(_NOT_BUILT)
        return Response(file.read_bytes(), media_type="text/html", headers=headers)

    assets = BUILT / "assets"
    files = [Mount("/assets", StaticFiles(directory=assets))] if assets.is_dir() else []
    return [Route("/", page, methods=["GET"]), Route("/config.json", config), *files]


def history_proxy(api_url: str, *, takes_rules: bool = True) -> list[Route]:
    """Return GET /api/... and its reference; without an address they return an error.

    `takes_rules`: whether alert rules may be added, changed, tested and removed.
    """
    client: httpx.AsyncClient | None = None

    async def endpoint(request: Request) -> Response:
        nonlocal client
        if not api_url:
            return problem(503, "no history API", "API_URL is not set: live-feed cannot ask for it")
        if client is None:
            client = httpx.AsyncClient(base_url=api_url, timeout=30.0, trust_env=False)
        body: bytes | None = b""
        if request.method in ("POST", "PATCH"):
            body = await read_body(request, _MAX_BODY_BYTES)
        if body is None:
            return problem(413, "too large", f"at most {_MAX_BODY_BYTES} bytes")
        upstream = client.build_request(
            "GET" if request.method == "HEAD" else request.method,
            httpx.URL(request.scope.get("raw_path", b"").decode() or request.url.path).copy_with(
                query=request.url.query.encode()
            ),
            headers={
                name: request.headers[name] for name in _REQUEST_HEADERS if name in request.headers
            },
            content=body or None,
        )
        try:
            response = await client.send(upstream, stream=True)
        except httpx.TransportError as error:
            return problem(503, "the history API is away", repr(error), 1)
        headers = {
            name: response.headers[name] for name in _RESPONSE_HEADERS if name in response.headers
        }
        return StreamingResponse(_body(response), response.status_code, headers)

    paths = ("/api/{path:path}", "/openapi.json", "/docs", "/docs/{path:path}")
    rules = [
        Route(_RULES, endpoint, methods=["POST", "PATCH", "DELETE"]),
        Route(f"{_RULES}/test", endpoint, methods=["POST"]),
    ]
    return [*(rules if takes_rules else ()), *(Route(path, endpoint) for path in paths)]


async def _body(response: httpx.Response) -> AsyncIterator[bytes]:
    try:
        async for part in response.aiter_raw():
            yield part
    finally:
        await response.aclose()


def letters_route(stream: LiveStream) -> Route:
    """Return the route. Payloads are left out: `kandle dlq show` has them."""

    async def answer(request: Request) -> Response:
        try:
            count, letters = await stream.dead_letters(_NEWEST)
        except TransientError as error:
            return problem(503, "a store is away", str(error), 1)
        body = {"count": count, "letters": [_letter(each) for each in letters]}
        return JSONResponse(body, headers={"cache-control": "no-store"})

    return Route("/dead-letters", answer)


def _letter(letter: DeadLetter) -> dict[str, Any]:
    stored = letter.stored_at
    return {
        "sequence": letter.sequence,
        "stored": None if stored is None else round(stored.timestamp() * 1000),
        "type": letter.attributes.get("type"),
        "id": letter.attributes.get("id"),
        "destination": letter.destination,
        "code": letter.code,
        "error": letter.error[:_ERROR_CHARACTERS],
        "bytes": len(letter.body),
    }
