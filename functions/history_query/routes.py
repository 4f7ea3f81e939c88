"""The history API's routes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import orjson
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from functions.history_query.candles import CandlePages, as_json
from functions.history_query.latest import LatestTrades
from functions.history_query.parameters import ParameterError, read_page
from shared.adapter.health import Check, health_routes
from shared.errors import TransientError
from shared.problem import problem
from shared.timeframes import Timeframe

MAX_SYMBOL_CHARACTERS: Final = 64

Answer = Callable[[Request], Response]


def api(
    pages: CandlePages, latest: LatestTrades, ladder: tuple[Timeframe, ...], ready: Check
) -> Starlette:
    """Return the app."""

    def candles(request: Request) -> Response:
        symbol = request.path_params["symbol"]
        page = read_page(request.query_params, ladder)
        found, cursor = pages.page(symbol, page)
        if not found and not pages.knows(symbol):
            return _unknown(symbol)
        return _json(
            {
                "symbol": symbol,
                "timeframe": page.timeframe.name,
                "candles": [as_json(candle) for candle in found],
                "next": cursor,
            }
        )

    def latest_all(request: Request) -> Response:
        return _json(latest.all())

    def latest_one(request: Request) -> Response:
        symbol = request.path_params["symbol"]
        trade = latest.one(symbol)
        return _unknown(symbol) if trade is None else _json(trade)

    return Starlette(
        routes=[
            Route("/api/candles/{symbol:path}", _answered(candles)),
            Route("/api/latest", _answered(latest_all)),
            Route("/api/latest/{symbol:path}", _answered(latest_one)),
            *health_routes(ready),
        ],
        exception_handlers={404: _no_such_route},
    )


def _answered(answer: Answer) -> Any:
    """Run the blocking answer in a thread; turn its errors into problem+json."""

    async def endpoint(request: Request) -> Response:
        if len(request.path_params.get("symbol", "")) > MAX_SYMBOL_CHARACTERS:
            return problem(
                400, "bad parameter", f"symbol: at most {MAX_SYMBOL_CHARACTERS} characters"
            )
        try:
            return await run_in_threadpool(answer, request)
        except ParameterError as error:
            return problem(400, "bad parameter", str(error))
        except TransientError as error:
            return problem(503, "a store is away", str(error), 1)

    return endpoint


def _json(value: Any) -> Response:
    return Response(orjson.dumps(value), media_type="application/json")


def _unknown(symbol: str) -> Response:
    return problem(404, "unknown symbol", f"no tick of {symbol!r} was ever seen")


async def _no_such_route(request: Request, error: Exception) -> Response:
    return problem(
        404, "no such route", "there are /api/candles/{symbol}, /api/latest, /api/latest/{symbol}"
    )
