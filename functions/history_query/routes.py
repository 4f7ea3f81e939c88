"""The history API's routes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from urllib.parse import quote, urlencode

import orjson
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from functions.history_query.candles import CandlePages, as_json
from functions.history_query.latest import LatestTrades
from functions.history_query.openapi import DOCUMENT
from functions.history_query.parameters import (
    DAY_US,
    DEFAULT_PRICES,
    MAX_LIMIT,
    ParameterError,
    TickPage,
    read_page,
    read_ticks,
    refuse_all,
)
from functions.history_query.prices import Price, PricePages
from functions.history_query.symbols import Symbols
from shared.adapter.health import Check, health_routes
from shared.errors import TransientError
from shared.problem import problem
from shared.timeframes import Timeframe

MAX_SYMBOL_CHARACTERS: Final = 64

_FORM: Final = '{"t":%d,"%s":%s}'

Answer = Callable[[Request], Response]


@dataclass(frozen=True, slots=True)
class Sources:
    """What the routes answer from. `ladder`: the kept timeframes."""

    candles: CandlePages
    prices: PricePages
    latest: LatestTrades
    symbols: Symbols
    ladder: tuple[Timeframe, ...]


def api(sources: Sources, ready: Check) -> Starlette:
    """Return the app."""

    def candles(request: Request) -> Response:
        symbol = request.path_params["symbol"]
        page = read_page(request.query_params, sources.ladder)
        found, cursor = sources.candles.page(symbol, page)
        if not found and not sources.candles.knows(symbol):
            return _unknown(symbol)
        return _json(
            {
                "symbol": symbol,
                "timeframe": page.timeframe.name,
                "candles": [as_json(candle) for candle in found],
                "next": cursor,
            }
        )

    def history(request: Request) -> Response:
        page = read_ticks(request.query_params, DAY_US, MAX_LIMIT)
        return price_page(request, page, oldest_first=True)

    def price_history(request: Request) -> Response:
        page = read_ticks(request.query_params, None, DEFAULT_PRICES)
        return price_page(request, page, oldest_first=False)

    def price_page(request: Request, page: TickPage, *, oldest_first: bool) -> Response:
        symbol = request.path_params["symbol"]
        found, cursor = sources.prices.page(symbol, page)
        if not found and not sources.candles.knows(symbol):
            return _unknown(symbol)
        if oldest_first:
            found.reverse()
        headers = {"x-kandle-limit": str(page.limit)}
        if cursor is not None:
            headers["x-kandle-truncated"] = "true"
            headers["link"] = f'<{_next(request, page, cursor)}>; rel="next"'
        body = _price_list(found, "p" if oldest_first else "price")
        return Response(body, headers=headers, media_type="application/json")

    def latest_all(request: Request) -> Response:
        refuse_all(request.query_params)
        return _json(sources.latest.all())

    def latest_one(request: Request) -> Response:
        refuse_all(request.query_params)
        symbol = request.path_params["symbol"]
        trade = sources.latest.one(symbol)
        return _unknown(symbol) if trade is None else _json(trade)

    def price(request: Request) -> Response:
        refuse_all(request.query_params)
        symbol = request.path_params["symbol"]
        trade = sources.latest.one(symbol)
        if trade is None:
            return _unknown(symbol)
        number = orjson.Fragment(trade["price"])
        return _json({"symbol": symbol, "price": number, "t": trade["t"]})

    def symbols(request: Request) -> Response:
        refuse_all(request.query_params)
        return _json(sources.symbols.all())

    def openapi(request: Request) -> Response:
        return _json(DOCUMENT)

    return Starlette(
        routes=[
            Route("/api/candles/{symbol:path}", _answered(candles)),
            Route("/api/history/{symbol:path}", _answered(history)),
            Route("/api/latest", _answered(latest_all)),
            Route("/api/latest/{symbol:path}", _answered(latest_one)),
            Route("/api/symbols", _answered(symbols)),
            Route("/prices/{symbol:path}/history", _answered(price_history)),
            Route("/prices/{symbol:path}", _answered(price)),
            Route("/openapi.json", _answered(openapi)),
            *health_routes(ready),
        ],
        exception_handlers={404: _no_such_route, 405: _no_such_method},
    )


def _answered(answer: Answer) -> Any:
    """Run the blocking answer in a thread; turn its errors into problem+json."""

    async def endpoint(request: Request) -> Response:
        symbol = request.path_params.get("symbol")
        if symbol is not None and not 1 <= len(symbol) <= MAX_SYMBOL_CHARACTERS:
            return problem(400, "bad parameter", f"symbol: 1 to {MAX_SYMBOL_CHARACTERS} characters")
        if symbol is not None and not symbol.isprintable():
            return _unknown(symbol)  # and no store needs to be asked with such characters
        try:
            return await run_in_threadpool(answer, request)
        except ParameterError as error:
            return problem(400, "bad parameter", str(error))
        except TransientError as error:
            return problem(503, "a store is away", str(error), 1)

    return endpoint


def _json(value: Any) -> Response:
    return Response(orjson.dumps(value), media_type="application/json")


def _price_list(prices: list[Price], name: str) -> str:
    """Write exact decimal texts as JSON numbers; a float between would round them."""
    return f"[{','.join([_FORM % (each.time_ms, name, each.price) for each in prices])}]"


def _next(request: Request, page: TickPage, cursor: str) -> str:
    """Return the address of the next page; its `from` does not move with the clock."""
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=page.from_us)
    query = {"from": moment.isoformat(), "limit": str(page.limit), "cursor": cursor}
    return f"{quote(request.scope['path'], safe='/:')}?{urlencode(query)}"


def _unknown(symbol: str) -> Response:
    return problem(404, "unknown symbol", f"no tick of {symbol!r} was ever seen")


async def _no_such_route(request: Request, error: Exception) -> Response:
    return problem(404, "no such route", f"there are {', '.join(DOCUMENT['paths'])}")


async def _no_such_method(request: Request, error: Exception) -> Response:
    return problem(405, "no such method", "every route answers GET")
