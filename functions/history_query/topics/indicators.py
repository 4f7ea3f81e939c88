"""GET /api/indicators: the indicators that can be computed beside candles."""

from __future__ import annotations

from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from functions.history_query.api import openapi_schemas as spec
from functions.history_query.api.endpoints import Handlers, as_json
from functions.history_query.queries.indicator_list import entries

PART: Final = spec.Part(
    {
        "/api/indicators": spec.get(
            "All indicators, each by a name with its defaults.",
            "[Indicator]",
            refusals=(400,),
        ),
    },
    spec.schemas(
        """
        Indicator
          name        string    Name with default parameters: `macd:12:26:9`.
          title,group  string
          parameters  {number}  Parameters in the order of the name.
          columns     [string]  The names of its values beside a candle.
          overlay     boolean   Whether its values are prices, drawn over the candles.
        """
    ),
)


def handlers() -> Handlers:
    """Return the handler of the route."""

    def every(request: Request) -> Response:
        return as_json([each.json() for each in entries()])

    return {"/api/indicators": every}
