"""GET /api/alerts: when the rules of `kandle alert` came true."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from functions.history_query.api import openapi_schemas as spec
from functions.history_query.api.cursors import MomentCursor
from functions.history_query.api.endpoints import Handlers, as_json, unknown
from functions.history_query.queries.alerts import (
    DEFAULT_ALERTS,
    MAX_ID_CHARACTERS,
    AlertPages,
    read_alerts,
)
from functions.history_query.topics import patterns

_CHOICE: Final = (
    "from to",
    spec.limit(DEFAULT_ALERTS),
    spec.cursor_of(MomentCursor(1_764_340_200_000_000, "1").text()),
    spec.query(
        "rule",
        "Of one rule, by its id.",
        {"type": "string", "minLength": 1, "maxLength": MAX_ID_CHARACTERS},
        "0a1b2c3d",
    ),
)
_ALERT: Final = spec.object_of(
    {
        "rule_id": spec.NAME,
        "rule": spec.name("As it was added: `BTC-USD close > 75000 on 1m`."),
        "symbol": spec.name("The instrument, or the feed that the rule is about."),
        "timeframe": spec.name("Empty where the rule is about no candles."),
        "candle_start": spec.ms(
            "Start of the candle it came true on, ms; of a rule without candles when"
            " it was seen to be true."
        ),
        "timestamp": spec.ms("When that candle had ended, or likewise, ms."),
    }
)
_OF_PATTERN: Final = patterns.PART.schemas["Pattern"]["properties"]
"""Additional fields of a pattern alert."""

PART: Final = spec.Part(
    {
        "/api/alerts": spec.get(
            "Alerts of all instruments, the newest first. Rules are added by `kandle alert`.",
            spec.object_of({"alerts": spec.list_of("Alert"), "next": spec.NEXT}),
            *_CHOICE,
            refusals=(400, 503),
        ),
        "/api/alerts/{symbol}": spec.get(
            "Alerts of an instrument, the newest first.",
            spec.ref("Alerts"),
            "symbol",
            *_CHOICE,
            refusals=spec.STORES,
        ),
    },
    {
        "Alert": {
            **_ALERT,
            "properties": {
                **_OF_PATTERN,
                **_ALERT["properties"],
                "value": spec.decimal("The left side of the first comparison."),
                "to": {
                    "type": "array",
                    "items": spec.NAME,
                    "description": "The targets that the rule names; none: all.",
                },
                "muted": spec.boolean("Whether it was sent to nobody."),
            },
        },
        "Alerts": spec.object_of(
            {"symbol": spec.NAME, "alerts": spec.list_of("Alert"), "next": spec.NEXT}
        ),
    },
)


def handlers(alerts: AlertPages, knows: Callable[[str], bool]) -> Handlers:
    """Return the handlers of the routes. `knows` tells whether an instrument was ever seen."""

    def every(request: Request) -> Response:
        rows, cursor = alerts.page(None, read_alerts(request.query_params))
        return as_json({"alerts": rows, "next": cursor})

    def page(request: Request) -> Response:
        symbol = request.path_params["symbol"]
        rows, cursor = alerts.page(symbol, read_alerts(request.query_params))
        if not rows and not knows(symbol):
            return unknown(symbol)
        return as_json({"symbol": symbol, "alerts": rows, "next": cursor})

    return {"/api/alerts": every, "/api/alerts/{symbol}": page}
