"""live-feed put together once a process: both entries, events and WebSockets, share it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field

from starlette.applications import Starlette
from starlette.routing import Mount, Route

from functions.live_feed.handler import STAGE, Show
from functions.live_feed.history import history_proxy
from functions.live_feed.hub import Hub
from functions.live_feed.page import page_routes
from functions.live_feed.session import SessionLimits
from functions.live_feed.sse import sse_endpoint
from functions.live_feed.stream import Limits, LiveStream
from functions.live_feed.websocket import websocket_endpoint
from shared.adapter.wiring import event_app
from shared.settings import Environment


@dataclass(frozen=True)
class Settings:
    """What live-feed reads from its environment."""

    nats_url: str = field(repr=False)
    nats_browser_url: str = field(repr=False)
    api_url: str
    max_clients: int
    queue: int
    remembered: int
    ticks_an_event: int
    limits: Limits

    @classmethod
    def from_env(cls, mapping: Mapping[str, str]) -> Settings:
        """Read and check. Raises SettingsError."""
        env = Environment(mapping)
        settings = cls(
            nats_url=env.text("NATS_URL"),
            nats_browser_url=env.text("NATS_BROWSER_URL", ""),
            api_url=env.text("API_URL", ""),
            max_clients=env.integer("LIVE_MAX_CLIENTS", 2_000, 1, 100_000),
            queue=env.integer("LIVE_QUEUE", 2_000, 10, 1_000_000),
            remembered=env.integer("LIVE_REMEMBERED", 20_000, 0, 1_000_000),
            ticks_an_event=env.integer("LIVE_TICKS_PER_EVENT", 50, 1, 100_000),
            limits=Limits(
                env.integer("LIVE_REPLAY_S", 600, 1, 86_400),
                env.integer("LIVE_REPLAY_BYTES", 256 * 1024 * 1024, 1024 * 1024, 2**40),
            ),
        )
        env.check()
        return settings


settings = Settings.from_env(os.environ)
hub = Hub(LiveStream(settings.nats_url, settings.limits), settings.remembered)
limits = SessionLimits()
websocket = websocket_endpoint(hub, limits, bound=settings.queue, max_clients=settings.max_clients)
events = event_app(
    STAGE,
    Show(LiveStream(settings.nats_url, settings.limits), settings.ticks_an_event),
    os.environ,
    concurrency=16,
    ready=hub.ready,
)
http = Starlette(
    routes=[
        Route("/sse", sse_endpoint(hub, limits, bound=settings.queue)),
        *history_proxy(settings.api_url),
        *page_routes(settings.nats_browser_url),
        Mount("", app=events),
    ]
)
