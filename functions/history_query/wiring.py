"""Wiring of the API: every topic over its stores."""

from __future__ import annotations

from functools import partial

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from functions.history_query import topics
from functions.history_query.api.endpoints import ConcurrencyLimits, as_json, endpoint_of
from functions.history_query.api.openapi import DOCUMENT, parameters_of
from functions.history_query.api.reference import page_routes
from functions.history_query.queries.bar_checkpoints import Checkpoints
from functions.history_query.queries.bar_days import BarDays
from functions.history_query.queries.bars import BarPages
from functions.history_query.queries.candles import CandlePages
from functions.history_query.queries.closed_and_live import StoredCandles
from functions.history_query.queries.readers import Readers
from functions.history_query.queries.tick_slices import TickSlices
from functions.history_query.topics.alert_rules import alert_rule_writes
from shared.adapter.health import Check, health_routes
from shared.lake.reading.cold import Cold
from shared.market.timeframes import Timeframe
from shared.realtime.readers import LiveState
from shared.runtime.problem import problem
from shared.stores.postgres import Postgres


def history_api(
    postgres: Postgres,
    live: LiveState,
    cold: Cold,
    ladder: tuple[Timeframe, ...],
    allowed_lateness_us: int,
    ready: Check,
    *,
    only_reads: bool = False,
    notify_url: str = "",
) -> Starlette:
    """Return the app. `only_reads`: Postgres is a replica, which takes no rules.

    `notify_url`: address of notify, for test notifications.
    """
    slices = TickSlices(postgres, cold)
    readers = Readers(
        *(postgres, live, slices),
        CandlePages(StoredCandles(postgres, live, cold), slices, ladder, allowed_lateness_us),
        BarPages(BarDays(slices, Checkpoints(postgres)), postgres, allowed_lateness_us),
    )
    limits = ConcurrencyLimits()
    handlers = {path: each for topic in topics.ALL for path, each in topic.TOPIC.handlers.items()}
    # A symbol takes slashes, so what follows one is tried before the symbol alone.
    ordered = sorted(handlers, key=lambda path: path.endswith("{symbol}"))
    return Starlette(
        routes=[
            *(
                Route(
                    path.replace("{symbol}", "{symbol:path}"),
                    endpoint_of(partial(handlers[path], readers), limits, parameters_of(path)),
                )
                for path in ordered
            ),
            Route("/openapi.json", endpoint_of(_openapi, limits, None)),
            *alert_rule_writes(postgres, notify_url, ladder, only_reads=only_reads),
            *page_routes(),
            *health_routes(ready),
        ],
        exception_handlers={404: _no_such_route, 405: _no_such_method},
    )


def _openapi(request: Request) -> Response:
    return as_json(DOCUMENT)


async def _no_such_route(request: Request, error: Exception) -> Response:
    return problem(404, "no such route", f"there are {', '.join(DOCUMENT['paths'])}")


async def _no_such_method(request: Request, error: Exception) -> Response:
    return problem(405, "no such method", "every route answers GET; /api/alert-rules others too")
