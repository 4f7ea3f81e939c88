"""The app to serve: functions-framework carries HTTP alone, so the WebSocket stands before it."""

from __future__ import annotations

import functions_framework.aio
from starlette.applications import Starlette
from starlette.routing import Mount, WebSocketRoute

from functions.live_feed.wiring import websocket

app = Starlette(
    routes=[WebSocketRoute("/ws", websocket), Mount("", app=functions_framework.aio.app)]
)
