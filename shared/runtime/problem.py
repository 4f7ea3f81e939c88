"""HTTP of every process: bounded bodies, problem+json (RFC 9457), and headers of its pages."""

from __future__ import annotations

from collections.abc import Mapping

from starlette.requests import Request
from starlette.responses import JSONResponse


async def read_body(request: Request, max_bytes: int) -> bytes | None:
    """Return the body; None once it is larger. Raises ClientDisconnect."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > max_bytes:
            return None
    return bytes(body)


def problem(
    status: int,
    title: str,
    detail: str,
    retry_after_s: int | None = None,
    headers: Mapping[str, str] | None = None,
) -> JSONResponse:
    """Return the response; `detail` names the parameter and the fix."""
    return JSONResponse(
        {"title": title, "status": status, "detail": detail},
        status,
        {
            **(headers or {}),
            **({} if retry_after_s is None else {"retry-after": str(retry_after_s)}),
        },
        media_type="application/problem+json",
    )


def page_headers(sources: str = "") -> dict[str, str]:
    """Return the headers that confine a page to itself; `sources`: further parts of its policy."""
    policy = f"default-src 'self'; {sources}img-src 'self' data:; style-src 'self' 'unsafe-inline';"
    return {
        "content-security-policy": f"{policy} frame-ancestors 'none'; base-uri 'none'",
        "x-content-type-options": "nosniff",
        "referrer-policy": "no-referrer",
    }
