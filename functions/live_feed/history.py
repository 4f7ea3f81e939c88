"""The history API under the dashboard's own address, so that a browser needs no second origin."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Final

import httpx
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from shared.runtime.problem import problem

_PASSED: Final = (
    *("content-type", "content-encoding", "etag", "cache-control", "link", "retry-after"),
    *("x-kandle-limit", "x-kandle-truncated"),
)
_ASKED: Final = (*("authorization", "accept", "accept-encoding", "if-none-match", "content-type"),)
_RULES: Final = "/api/alert-rules"
_MAX_BODY_BYTES: Final = 4_096


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
        body = b""
        if request.method in ("POST", "PATCH"):
            async for chunk in request.stream():
                body += chunk
                if len(body) > _MAX_BODY_BYTES:
                    return problem(413, "too large", f"at most {_MAX_BODY_BYTES} bytes")
        upstream = client.build_request(
            "GET" if request.method == "HEAD" else request.method,
            httpx.URL(request.scope.get("raw_path", b"").decode() or request.url.path).copy_with(
                query=request.url.query.encode()
            ),
            headers={name: request.headers[name] for name in _ASKED if name in request.headers},
            content=body or None,
        )
        try:
            response = await client.send(upstream, stream=True)
        except httpx.TransportError as error:
            return problem(503, "the history API is away", repr(error), 1)
        headers = {name: response.headers[name] for name in _PASSED if name in response.headers}
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
