"""GET /api/latest and /prices: the latest trade and quote of an instrument, or of each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import orjson
from psycopg.rows import dict_row
from starlette.requests import Request
from starlette.responses import Response

from functions.history_query.api import openapi_schemas as spec
from functions.history_query.api.endpoints import as_json
from functions.history_query.api.parameters import UnknownSymbolError
from functions.history_query.api.topic import Topic
from functions.history_query.queries.readers import Readers
from shared.realtime.readers import Latest, LiveState
from shared.stores.postgres import Postgres

_NO_TRADE: Final = dict.fromkeys(("price", "size", "t", "received"), None)
_EVERY: Final = """
SELECT instrument, trim_scale(bid)::text AS bid, trim_scale(ask)::text AS ask,
       trim_scale(bid_size)::text AS bid_size, trim_scale(ask_size)::text AS ask_size,
       trim_scale(ask - bid)::text AS spread, trim_scale((ask + bid) * 0.5)::text AS mid,
       event_time_us / 1000 AS quote_t
FROM latest_quotes
"""
_NAMED: Final = f"{_EVERY}WHERE instrument = ANY(%s)"
NO_QUOTE: Final = dict.fromkeys(
    ("bid", "ask", "bid_size", "ask_size", "spread", "mid", "quote_t"), None
)
"""Fields of an instrument without a quote."""

TOPIC: Final = Topic(
    spec.schemas(
        """
        Price
          symbol    string
          price     exact
          t         ms
        Latest
          symbol    string
          price,size  decimal?  Null without a trade.
          t         ms?       Time of the trade, ms since 1970; null without one.
          received  ms?       When a trade last reached the candles, ms since 1970.
          bid,ask,spread,mid  decimal?  Null without a quote.
          bid_size,ask_size  decimal?  Null if the feed sends none.
          quote_t   ms?       Time of the quote, ms since 1970; null without one.
        """
    ),
)


@TOPIC.get("/api/latest", "The latest trade and quote of every instrument.", "[Latest]")
def _every(readers: Readers, _: Request) -> Response:
    trades, quotes = latest_trades(readers.live), latest_quotes(readers.postgres)
    symbols = sorted(trades.keys() | quotes.keys())
    return as_json([_joined(each, trades.get(each), quotes.get(each)) for each in symbols])


@TOPIC.get(
    "/api/latest/{symbol}", "The latest trade and quote of an instrument.", "Latest", "symbol"
)
def _one(readers: Readers, request: Request) -> Response:
    symbol = request.path_params["symbol"]
    trade = latest_trades(readers.live, [symbol]).get(symbol)
    quote = latest_quotes(readers.postgres, [symbol]).get(symbol)
    if trade is None and quote is None:
        raise UnknownSymbolError(symbol)
    return as_json(_joined(symbol, trade, quote))


@TOPIC.get("/prices/{symbol}", "The latest price of an instrument.", "Price", "symbol")
def _price(readers: Readers, request: Request) -> Response:
    symbol = request.path_params["symbol"]
    trade = latest_trades(readers.live, [symbol]).get(symbol)
    if trade is None:
        raise UnknownSymbolError(symbol)
    number = orjson.Fragment(trade["price"])
    return as_json({"symbol": symbol, "price": number, "t": trade["t"]})


def _joined(symbol: str, trade: spec.Json | None, quote: spec.Json | None) -> spec.Json:
    return {"symbol": symbol, **(trade or _NO_TRADE), **(quote or NO_QUOTE)}


def latest_trades(
    live: LiveState, symbols: Sequence[str] | None = None
) -> dict[str, dict[str, Any]]:
    """Return the latest trades of these instruments, or of all, by instrument.

    Raises TransientError while Redis is away.
    """
    return {each.instrument: _trade_json(each) for each in live.latest(symbols)}


def latest_quotes(
    postgres: Postgres, symbols: Sequence[str] | None = None
) -> dict[str, dict[str, Any]]:
    """Return the latest quotes of these instruments, or of all, by instrument.

    Raises TransientError while Postgres is away.
    """
    with postgres.connection() as connection:
        cursor = connection.cursor(row_factory=dict_row)
        if symbols is None:
            cursor.execute(_EVERY)
        else:
            cursor.execute(_NAMED, (list(symbols),))
        return {row.pop("instrument"): row for row in cursor}


def _trade_json(trade: Latest) -> dict[str, Any]:
    return {
        "symbol": trade.instrument,
        "price": trade.price,
        "size": trade.size,
        "t": trade.time_us // 1000,
        "received": trade.received_us // 1000,
    }
