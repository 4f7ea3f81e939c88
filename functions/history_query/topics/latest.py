"""GET /api/latest and /prices: the latest trade and quote of an instrument, or of each."""

from __future__ import annotations

from typing import Final

import orjson
from starlette.requests import Request
from starlette.responses import Response

from functions.history_query.api import openapi_schemas as spec
from functions.history_query.api.endpoints import Handlers, as_json, unknown
from functions.history_query.queries.latest import NO_QUOTE, latest_quotes, latest_trades
from shared.realtime.readers import LiveState
from shared.stores.postgres import Postgres

PART: Final = spec.Part(
    {
        "/api/latest": spec.get(
            "The latest trade and quote of every instrument.",
            spec.list_of("Latest"),
            refusals=(400, 503),
        ),
        "/api/latest/{symbol}": spec.get(
            "The latest trade and quote of an instrument.",
            spec.ref("Latest"),
            "symbol",
            refusals=spec.STORES,
        ),
        "/prices/{symbol}": spec.get(
            "The latest price of an instrument.", spec.ref("Price"), "symbol", refusals=spec.STORES
        ),
    },
    {
        "Price": spec.object_of({"symbol": spec.NAME, "price": spec.EXACT_NUMBER, "t": spec.MS}),
        "Latest": spec.object_of(
            {
                "symbol": spec.NAME,
                **dict.fromkeys(
                    ("price", "size"), spec.DECIMAL("Null without a trade.", null=True)
                ),
                "t": spec.MS("Time of the trade, ms since 1970; null without one.", null=True),
                "received": spec.MS(
                    "When a trade last reached the candles, ms since 1970.", null=True
                ),
                **dict.fromkeys(
                    ("bid", "ask", "spread", "mid"),
                    spec.DECIMAL("Null without a quote.", null=True),
                ),
                **dict.fromkeys(
                    ("bid_size", "ask_size"),
                    spec.DECIMAL("Null if the feed sends none.", null=True),
                ),
                "quote_t": spec.MS(
                    "Time of the quote, ms since 1970; null without one.", null=True
                ),
            }
        ),
    },
)


_NO_TRADE: Final = dict.fromkeys(("price", "size", "t", "received"), None)


def handlers(live: LiveState, postgres: Postgres) -> Handlers:
    """Return the handlers of the routes."""

    def latest_all(_: Request) -> Response:
        trades, quotes = latest_trades(live), latest_quotes(postgres)
        symbols = sorted(trades.keys() | quotes.keys())
        return as_json([_joined(each, trades.get(each), quotes.get(each)) for each in symbols])

    def latest_one(request: Request) -> Response:
        symbol = request.path_params["symbol"]
        trade = latest_trades(live, [symbol]).get(symbol)
        quote = latest_quotes(postgres, [symbol]).get(symbol)
        if trade is None and quote is None:
            return unknown(symbol)
        return as_json(_joined(symbol, trade, quote))

    def price(request: Request) -> Response:
        symbol = request.path_params["symbol"]
        trade = latest_trades(live, [symbol]).get(symbol)
        if trade is None:
            return unknown(symbol)
        number = orjson.Fragment(trade["price"])
        return as_json({"symbol": symbol, "price": number, "t": trade["t"]})

    return {
        "/api/latest": latest_all,
        "/api/latest/{symbol}": latest_one,
        "/prices/{symbol}": price,
    }


def _joined(symbol: str, trade: spec.Json | None, quote: spec.Json | None) -> spec.Json:
    return {"symbol": symbol, **(trade or _NO_TRADE), **(quote or NO_QUOTE)}
