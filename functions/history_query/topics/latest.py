"""GET /api/latest and /prices: the latest trade of an instrument, or of each."""

from __future__ import annotations

from typing import Final

import orjson
from starlette.requests import Request
from starlette.responses import Response

from functions.history_query.answering import Answers, as_json, unknown
from functions.history_query.describing import (
    DECIMAL,
    MS,
    NAME,
    NUMBER,
    STORES,
    SYMBOL,
    Part,
    get,
    list_of,
    object_of,
    ref,
)
from functions.history_query.latest import LatestTrades
from functions.history_query.parameters import refuse_all

PART: Final = Part(
    {
        "/api/latest": get(
            "The latest trade of every instrument.", list_of("Trade"), refusals=(400, 503)
        ),
        "/api/latest/{symbol}": get(
            "The latest trade of an instrument.", ref("Trade"), SYMBOL, refusals=STORES
        ),
        "/prices/{symbol}": get(
            "The latest price of an instrument.", ref("Price"), SYMBOL, refusals=STORES
        ),
    },
    {
        "Price": object_of({"symbol": NAME, "price": NUMBER, "t": MS}),
        "Trade": object_of(
            {
                "symbol": NAME,
                "price": DECIMAL,
                "size": DECIMAL,
                "t": MS,
                "received": {**MS, "description": "When it last received anything, ms since 1970."},
            }
        ),
    },
)


def answers(latest: LatestTrades) -> Answers:
    """Return what answers the routes."""

    def latest_all(request: Request) -> Response:
        refuse_all(request.query_params)
        return as_json(latest.all())

    def latest_one(request: Request) -> Response:
        refuse_all(request.query_params)
        symbol = request.path_params["symbol"]
        trade = latest.one(symbol)
        return unknown(symbol) if trade is None else as_json(trade)

    def price(request: Request) -> Response:
        refuse_all(request.query_params)
        symbol = request.path_params["symbol"]
        trade = latest.one(symbol)
        if trade is None:
            return unknown(symbol)
        number = orjson.Fragment(trade["price"])
        return as_json({"symbol": symbol, "price": number, "t": trade["t"]})

    return {
        "/api/latest": latest_all,
        "/api/latest/{symbol}": latest_one,
        "/prices/{symbol}": price,
    }
