"""GET /api/feeds: the status of each exchange feed."""

from __future__ import annotations

from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response

from functions.history_query.api import openapi_schemas as spec
from functions.history_query.api.endpoints import Handlers, as_json
from functions.history_query.queries.feeds import Feeds
from shared.wire.feed_status import FeedState

_STATE: Final[dict[str, Any]] = {
    "enum": [str(state) for state in FeedState],
    "description": "quiet: the connection lives, no message of this symbol came for a while."
    " stalled: the connection carries nothing where it must. down: the bridge does not report."
    " ended: delisted or renamed. halted: the exchange has stopped trading in it for a while."
    " maintenance: the exchange is closed.",
}
_MS_OR_NULL: Final = {**spec.MS, "type": ["integer", "null"]}

PART: Final = spec.Part(
    {
        "/api/feeds": spec.get(
            "The exchange feeds and their symbols: state, last message and trade, gaps.",
            spec.list_of("Feed"),
            refusals=(400, 503),
        ),
    },
    {
        "Feed": spec.object_of(
            {
                "feed": spec.NAME,
                "state": _STATE,
                "reported": spec.MS,
                "reconnects": spec.COUNT,
                "skew_ms": {
                    "type": ["integer", "null"],
                    "description": "Estimate: the exchange's clock less the bridge's.",
                },
                "error": spec.name("What is wrong.", null=True),
                "symbols": spec.list_of("FeedSymbol"),
            }
        ),
        "FeedSymbol": spec.object_of(
            {
                "symbol": spec.name("As the exchange writes it."),
                "instrument": spec.NAME,
                "state": _STATE,
                "last_message": _MS_OR_NULL,
                "last_trade": _MS_OR_NULL,
                "last_trade_id": {"type": ["integer", "null"]},
                "trades_per_minute": spec.COUNT,
                "history": spec.object_of(
                    {
                        "done": spec.count("Parts of the past that were fetched."),
                        "parts": spec.COUNT,
                    }
                ),
                "gaps": spec.object_of(
                    {
                        "open": spec.COUNT,
                        "filled": spec.COUNT,
                        "missing": spec.count("Trades missing in open gaps."),
                    }
                ),
            }
        ),
    },
)


def handlers(feeds: Feeds) -> Handlers:
    """Return the handlers of the routes."""

    def every(request: Request) -> Response:
        return as_json(feeds.all())

    return {"/api/feeds": every}
