"""live-feed: events in, live messages out to clients. HTTP only; WebSockets: asgi.py."""

from __future__ import annotations

import os

from functions.live_feed.wiring import http
from shared.adapter.access import guarded
from shared.adapter.delegated import served

# The page is public; the data it shows, and /config.json, need a token.
app = guarded(http, os.environ, events_pass=True, open_paths=("/", "/assets/"))
live_feed = served("live_feed", app)
