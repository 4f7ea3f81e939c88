"""GET /api/indicators: the indicators that can be computed beside candles."""

from __future__ import annotations

from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from functions.history_query.api import openapi_schemas as spec
from functions.history_query.api.endpoints import as_json
from functions.history_query.api.topic import Topic
from functions.history_query.queries.indicator_list import entries
from functions.history_query.queries.readers import Readers

TOPIC: Final = Topic(
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


@TOPIC.get(
    "/api/indicators",
    "All indicators, each by a name with its defaults.",
    "[Indicator]",
    refusals=(400,),
)
def _every(_: Readers, request: Request) -> Response:
    return as_json([each.json() for each in entries()])
