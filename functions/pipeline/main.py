"""pipeline: every stage in one process, for a small cluster; see the top-level func.yaml.

An event posted to `/` goes to each stage that wants its type; one posted to `/<stage>` only to that
stage. The history API, POST /ingest and the dashboard have their usual paths.
"""

from __future__ import annotations

import os

from starlette.applications import Starlette
from starlette.routing import Mount, Route

from functions.candle_aggregate import main as candle_aggregate
from functions.dead_letter import main as dead_letter
from functions.detect_pattern import main as detect_pattern
from functions.history_query import main as history_query
from functions.live_feed import main as live_feed
from functions.live_feed.wiring import events as live_events
from functions.normalize import main as normalize
from functions.notify import main as notify
from functions.persist import main as persist
from functions.pipeline.routing import AtRoot, Router, unrouted
from functions.udp_bridge import main as udp_bridge
from shared.adapter.delegated import served
from shared.adapter.door import EventDoor
from shared.adapter.health import health_routes
from shared.adapter.wiring import event_app

STAGES = {
    "normalize": normalize.app,
    "candle-aggregate": candle_aggregate.app,
    "persist": persist.app,
    "detect-pattern": detect_pattern.app,
    "notify": notify.app,
    "live-feed": live_events,
    "dead-letter": dead_letter.app,
}

HISTORY = ("/api/{path:path}", "/prices/{path:path}", "/openapi.json", "/docs", "/docs/{path:path}")
router = Router(STAGES, event_app("pipeline", unrouted, os.environ))
routes = Starlette(
    routes=[
        *health_routes(router.ready),
        Route("/", router.receive, methods=["POST"]),
        *(Route(f"/{name}", AtRoot(stage), methods=["POST"]) for name, stage in STAGES.items()),
        Route("/ingest", udp_bridge.app),
        *(Route(path, history_query.guarded_app) for path in HISTORY),
        Mount("", live_feed.app),
    ]
)

# The stages' own dead letters arrive at the configured address.
app = EventDoor(routes, {"/", *(f"/{name}" for name in STAGES if name != "dead-letter")})
pipeline = served("pipeline", app)
