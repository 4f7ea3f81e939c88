"""The app to serve: functions-framework carries HTTP alone, so the WebSocket stands before it."""

from __future__ import annotations

import os

import functions_framework.aio
from starlette.applications import Starlette
from starlette.routing import Mount, WebSocketRoute, websocket_session

from functions.live_feed.wiring import websocket
from shared.adapter.access import guarded

app = Starlette(
    routes=[
        WebSocketRoute("/ws", guarded(websocket_session(websocket), os.environ)),
        Mount("", app=functions_framework.aio.app),
    ]
)
