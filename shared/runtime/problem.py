"""Errors to HTTP clients: application/problem+json (RFC 9457)."""

from __future__ import annotations

from collections.abc import Mapping

from starlette.responses import JSONResponse


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
