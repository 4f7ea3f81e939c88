"""Wiring of the API: every topic over its stores."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from functions.history_query import topics
from functions.history_query.api.endpoints import ConcurrencyLimits, Handlers, as_json, endpoint_of
from functions.history_query.api.openapi import DOCUMENT, parameters_of
from functions.history_query.api.reference import page_routes
from functions.history_query.queries.bar_checkpoints import Checkpoints
from functions.history_query.queries.bar_days import BarDays
from functions.history_query.queries.bars import BarPages
from functions.history_query.queries.candles import CandlePages
from functions.history_query.queries.closed_and_live import StoredCandles
from functions.history_query.queries.tick_slices import TickPages, TickSlices
from functions.history_query.topics.alert_rules import alert_rule_writes
from functions.history_query.topics.flow import Flow
from functions.history_query.topics.overview import Overview
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
    days = BarDays(slices, Checkpoints(postgres))
    pages = CandlePages(StoredCandles(postgres, live, cold), slices, ladder, allowed_lateness_us)
    return api(
        [
            topics.bars.handlers(BarPages(days, postgres, allowed_lateness_us), pages.exists),
            topics.candles.handlers(pages),
            topics.flow.handlers(Flow(pages), pages.exists),
            topics.prices.handlers(TickPages(slices, ended=False), pages.exists),
            topics.indicators.handlers(),
            topics.latest.handlers(live, postgres),
            topics.overview.handlers(Overview(postgres, live)),
            topics.ticks.handlers(TickPages(slices), pages.exists),
            topics.symbols.handlers(postgres, live),
            topics.feeds.handlers(postgres),
            topics.patterns.handlers(postgres, pages.exists),
            topics.outcomes.handlers(pages, postgres),
            topics.alerts.handlers(postgres, pages.exists),
            topics.alert_rules.handlers(postgres),
            topics.rejects.handlers(postgres),
        ],
        ready,
        alert_rule_writes(postgres, notify_url, ladder, only_reads=only_reads),
    )


def api(topics: Iterable[Handlers], ready: Check, writes: Sequence[Route] = ()) -> Starlette:
    """Return the app. `writes`: routes of other methods than GET."""
    handlers = {path: handler for topic in topics for path, handler in topic.items()}
    limits = ConcurrencyLimits()
    parameters = {path: parameters_of(path) for path in handlers}
    handlers["/openapi.json"] = _openapi
    # A symbol takes slashes, so what follows one is tried before the symbol alone.
    ordered = sorted(handlers, key=lambda path: path.endswith("{symbol}"))
    return Starlette(
        routes=[
            *(
                Route(
                    path.replace("{symbol}", "{symbol:path}"),
                    endpoint_of(handlers[path], limits, parameters.get(path)),
                )
                for path in ordered
            ),
            *writes,
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
