"""GET /api/feeds: the status of each exchange feed."""

from __future__ import annotations

from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response

from functions.history_query.api.endpoints import Answers, as_json
from functions.history_query.api.openapi_schemas import (
    COUNT,
    MS,
    NAME,
    Part,
    get,
    list_of,
    object_of,
)
from functions.history_query.api.parameters import refuse_all
from functions.history_query.queries.feeds import Feeds
from shared.wire.feed_status import FeedState

_STATE: Final[dict[str, Any]] = {
    "enum": [str(state) for state in FeedState],
    "description": "quiet: the connection lives, no message of this symbol came for a while."
    " stalled: the connection carries nothing where it must. down: the bridge does not report."
    " ended: delisted or renamed. halted: the exchange has stopped trading in it for a while."
    " maintenance: the exchange is closed.",
}
_MS_OR_NULL: Final = {**MS, "type": ["integer", "null"]}

PART: Final = Part(
    {
        "/api/feeds": get(
            "The exchange feeds and their symbols: state, last message and trade, gaps.",
            list_of("Feed"),
            refusals=(400, 503),
        ),
    },
    {
        "Feed": object_of(
            {
                "feed": NAME,
                "state": _STATE,
                "reported": MS,
                "reconnects": COUNT,
                "skew_ms": {
                    "type": ["integer", "null"],
                    "description": "Estimate: the exchange's clock less the bridge's.",
                },
                "error": {"type": ["string", "null"], "description": "What is wrong."},
                "symbols": list_of("FeedSymbol"),
            }
        ),
        "FeedSymbol": object_of(
            {
                "symbol": {**NAME, "description": "As the exchange writes it."},
                "instrument": NAME,
                "state": _STATE,
                "last_message": _MS_OR_NULL,
                "last_trade": _MS_OR_NULL,
                "last_trade_id": {"type": ["integer", "null"]},
                "trades_per_minute": COUNT,
                "history": object_of(
                    {
                        "done": {**COUNT, "description": "Parts of the past that were fetched."},
                        "parts": COUNT,
                    }
                ),
                "gaps": object_of(
                    {
                        "open": COUNT,
                        "filled": COUNT,
                        "missing": {**COUNT, "description": "Trades missing in open gaps."},
                    }
                ),
            }
        ),
    },
)


def answers(feeds: Feeds) -> Answers:
    """Return what answers the routes."""

    def every(request: Request) -> Response:
        refuse_all(request.query_params)
        return as_json(feeds.all())

    return {"/api/feeds": every}
