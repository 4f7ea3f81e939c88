"""Wiring of live-feed, shared by both entries of the process, events and WebSockets."""

from __future__ import annotations

import os
from dataclasses import dataclass

from starlette.applications import Starlette
from starlette.routing import Mount, Route

from functions.live_feed.handler import STAGE, LiveHandler
from functions.live_feed.protocols.sse import sse_endpoint
from functions.live_feed.protocols.websocket import websocket_endpoint
from functions.live_feed.routes import history_proxy, letters_route, page_routes
from functions.live_feed.settings import LiveSettings
from shared.adapter.door import EventDoor, is_of_cluster, nowhere
from shared.adapter.draining import QUEUE_PROXY, Draining
from shared.adapter.wiring import event_app
from shared.realtime.leases import Watched
from shared.runtime.settings import FromEnvironment, integer, nested, parsed, text
from shared.stores.redis import connect


@dataclass(frozen=True, kw_only=True)
class Settings(FromEnvironment):
    """Settings of live-feed, from its environment."""

    live: LiveSettings = nested(LiveSettings.read)
    nats_browser_url: str = text("NATS_BROWSER_URL", "")
    ticks_an_event: int = integer("LIVE_TICKS_PER_EVENT", 50, 1, 100_000)
    takes_events: bool = integer("LIVE_EVENTS", 1, 0, 1, to=bool)
    queue_proxy: str = parsed("K_REVISION", "", lambda revision: revision and QUEUE_PROXY)


settings = Settings.from_env(os.environ)
stream = settings.live.stream()
replica = settings.live.replica(serves_nats=bool(settings.nats_browser_url))
draining = Draining(replica.slots.leave, settings.queue_proxy)
websocket = websocket_endpoint(replica)


async def ready() -> None:
    """Follow the stream and its watchers, and listen for shutdown.

    Raises TransientError.
    """
    draining.begin()
    replica.interest.start()
    await replica.hub.ready()


events = event_app(
    STAGE,
    LiveHandler(
        stream,
        Watched(connect(settings.live.redis_url)),
        settings.live.shards,
        settings.ticks_an_event,
    ),
    os.environ,
    concurrency=16,
    ready=ready,
)
http = Starlette(
    routes=[
        Route("/sse", sse_endpoint(replica)),
        *history_proxy(settings.live.api_url, takes_rules=settings.takes_events),
        letters_route(stream),
        *page_routes(settings.nats_browser_url),
        Mount(
            "",
            app=EventDoor(events, inside=is_of_cluster if settings.takes_events else nowhere),
        ),
    ]
)
