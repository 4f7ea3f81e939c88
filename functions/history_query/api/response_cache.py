"""HTTP caching: validators, max-age and compression of responses."""

from __future__ import annotations

import gzip
import hashlib
from typing import Final

import zstandard
from starlette.requests import Request
from starlette.responses import Response

_SMALL: Final = 1_000
_REVALIDATED: Final = "private, no-cache"
"""Private, since the API may require a token. Revalidated each time (304 while unchanged), since a
late tick, a replay or a rebuild may change a range of any age."""


def cacheable(request: Request, response: Response) -> Response:
    """Add an ETag; answer 304 if the client already has it."""
    tag = f'W/"{hashlib.blake2b(bytes(response.body), digest_size=12).hexdigest()}"'
    headers = {
        "etag": tag,
        "cache-control": _REVALIDATED,
        "vary": "Accept, Accept-Encoding",
    }
    client_tags = [each.strip() for each in request.headers.get("if-none-match", "").split(",")]
    if tag in client_tags or "*" in client_tags:
        return Response(status_code=304, headers=headers)
    response.headers.update(headers)
    return packed(request, response)


def packed(request: Request, response: Response) -> Response:
    """Compress a large body with an encoding that the client accepts."""
    body = bytes(response.body)
    if len(body) < _SMALL or "content-encoding" in response.headers:
        return response
    accepted = {
        part.partition(";")[0].strip(): part.replace(" ", "")
        for part in request.headers.get("accept-encoding", "").lower().split(",")
        if not part.replace(" ", "").endswith((";q=0", ";q=0.0"))
    }
    if "zstd" in accepted:
        response.body, encoding = zstandard.ZstdCompressor(level=1).compress(body), "zstd"
    elif "gzip" in accepted:
        response.body, encoding = gzip.compress(body, 1, mtime=0), "gzip"
    else:
        return response
    response.headers["content-encoding"] = encoding
    response.headers["content-length"] = str(len(response.body))
    return response
