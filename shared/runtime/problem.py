"""Requests and errors over HTTP: bounded bodies, and application/problem+json (RFC 9457)."""

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
