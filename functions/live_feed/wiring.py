"""live-feed put together once a process: both entries, events and WebSockets, share it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field

from starlette.applications import Starlette
from starlette.routing import Mount, Route

from functions.live_feed.draining import QUEUE_PROXY, Draining
from functions.live_feed.handler import STAGE, Show
from functions.live_feed.history import history_proxy
from functions.live_feed.page import page_routes
from functions.live_feed.places import Places
from functions.live_feed.session import SessionLimits
from functions.live_feed.settings import HubSettings
from functions.live_feed.sse import sse_endpoint
from functions.live_feed.websocket import websocket_endpoint
from shared.adapter.wiring import event_app
from shared.settings import Environment


@dataclass(frozen=True)
class Settings:
    """What live-feed reads from its environment."""

    hub: HubSettings
    nats_browser_url: str = field(repr=False)
    api_url: str
    ticks_an_event: int
    queue_proxy: str

    @classmethod
    def from_env(cls, mapping: Mapping[str, str]) -> Settings:
        """Read and check. Raises SettingsError."""
        env = Environment(mapping)
        settings = cls(
            hub=HubSettings.read(env),
            nats_browser_url=env.text("NATS_BROWSER_URL", ""),
            api_url=env.text("API_URL", ""),
            ticks_an_event=env.integer("LIVE_TICKS_PER_EVENT", 50, 1, 100_000),
            queue_proxy=QUEUE_PROXY if env.text("K_REVISION", "") else "",
        )
        env.check()
        return settings


settings = Settings.from_env(os.environ)
hub = settings.hub.hub()
limits = SessionLimits()
places = Places(settings.hub.max_clients)
draining = Draining(places.leave, settings.queue_proxy)
websocket = websocket_endpoint(hub, limits, places, bound=settings.hub.queue)


async def ready() -> None:
    """Follow the stream, and listen for the end of the replica. Raises TransientError."""
    draining.begin()
    await hub.ready()


events = event_app(
    STAGE,
    Show(settings.hub.stream(), settings.ticks_an_event),
    os.environ,
    concurrency=16,
    ready=ready,
)
http = Starlette(
    routes=[
        Route("/sse", sse_endpoint(hub, limits, places, bound=settings.hub.queue)),
        *history_proxy(settings.api_url),
        *page_routes(settings.nats_browser_url),
        Mount("", app=events),
    ]
)
