"""ASGI app: the WebSocket in front of functions-framework, which serves HTTP only."""

from __future__ import annotations

import os

import functions_framework.aio
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.routing import Mount, WebSocketRoute

from functions.live_feed.wiring import websocket
from shared.adapter.access import guarded

app = Starlette(
    routes=[
        WebSocketRoute("/ws", websocket, middleware=[Middleware(guarded, os.environ)]),
        Mount("", app=functions_framework.aio.app),
    ]
)
