"""GET /api/indicators: the indicators that can be computed beside candles."""

from __future__ import annotations

from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from functions.history_query.api.endpoints import Handlers, as_json
from functions.history_query.api.openapi_schemas import (
    BOOLEAN,
    NAME,
    Part,
    get,
    list_of,
    object_of,
)
from functions.history_query.queries.indicator_list import entries

PART: Final = Part(
    {
        "/api/indicators": get(
            "All indicators, each by a name with its defaults.",
            list_of("Indicator"),
            refusals=(400,),
        ),
    },
    {
        "Indicator": object_of(
            {
                "name": NAME("Name with default parameters: `macd:12:26:9`."),
                "title": NAME,
                "group": NAME,
                "parameters": {
                    "type": "object",
                    "additionalProperties": {"type": "number"},
                    "description": "Parameters in the order of the name.",
                },
                "columns": {
                    "type": "array",
                    "items": NAME,
                    "description": "The names of its values beside a candle.",
                },
                "overlay": BOOLEAN("Whether its values are prices, drawn over the candles."),
            }
        )
    },
)


def handlers() -> Handlers:
    """Return the handler of the route."""

    def every(request: Request) -> Response:
        return as_json([each.json() for each in entries()])

    return {"/api/indicators": every}
