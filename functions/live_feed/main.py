"""live-feed: events in, live messages out to clients. HTTP only; WebSockets: asgi.py."""

from __future__ import annotations

import os

import functions_framework.aio
from starlette.requests import Request
from starlette.responses import Response

from functions.live_feed.wiring import http
from shared.adapter.access import guarded
from shared.adapter.delegated import Delegated

# The page is public; the data it shows, and /config.json, need a token.
app = guarded(http, os.environ, events_pass=True, open_paths=("/", "/assets/"))


@functions_framework.aio.http
async def live_feed(request: Request) -> Response:
    """Answer one request: an event, a stream, a page, a probe or a scrape."""
    return Delegated(app)
