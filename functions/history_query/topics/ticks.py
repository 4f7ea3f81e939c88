"""GET /api/ticks: raw ticks, each trade once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from functions.history_query.api.cursors import TickPlace
from functions.history_query.api.endpoints import Answers, unknown
from functions.history_query.api.formats import TABLES, Shown
from functions.history_query.api.openapi_schemas import (
    DECIMAL,
    FROM,
    MS,
    NAME,
    PAGE_HEADERS,
    STORES,
    SYMBOL,
    TO,
    TZ,
    Part,
    columns_of,
    cursor_of,
    format_of,
    get,
    limit,
    list_of,
    object_of,
    ref,
)
from functions.history_query.api.parameters import read_raw_ticks
from functions.history_query.api.presentation import Presentation
from functions.history_query.queries.ticks import COLUMNS as NAMES
from functions.history_query.queries.ticks import TickPages
from shared.market.order import OrderKey

_CURSOR: Final = cursor_of(TickPlace("after", OrderKey(1_764_340_200_000_000, 0, 0, 0, 0)).text())

PART: Final = Part(
    {
        "/api/ticks/{symbol}": get(
            "Raw ticks, each trade once, ascending in the total order; without `from` the newest.",
            ref("RawTicks"),
            *(SYMBOL, FROM, TO, limit(1_000), _CURSOR, TZ, columns_of("us,p,s"), format_of(TABLES)),
            refusals=STORES,
            headers=PAGE_HEADERS,
        ),
    },
    {
        "RawTick": object_of(
            {
                "t": MS,
                "us": {"type": "integer", "description": "Microseconds since 1970, UTC."},
                "time": {**NAME, "description": "Local time, where `tz` is given."},
                "p": DECIMAL,
                "s": {**DECIMAL, "description": "Size."},
                "side": {"enum": ["buy", "sell", None], "description": "Of the aggressor."},
                "id": {"type": ["string", "null"], "description": "The trade id."},
                "received": MS,
                "flags": {
                    "type": ["string", "null"],
                    "description": "What the trade does not count for, and `corrected` where it"
                    " stands for another one: names with blanks between.",
                },
                "ended": {
                    "type": ["integer", "null"],
                    "description": "When its cancel or correction was received, ms since 1970;"
                    " null: it counts.",
                },
            },
            required=[],
        ),
        "RawTicks": object_of(
            {
                "symbol": NAME,
                "ticks": list_of("RawTick"),
                "next": {
                    "type": ["string", "null"],
                    "description": "The cursor of the next page; null: there are no more.",
                },
            }
        ),
    },
)


def answers(ticks: TickPages, knows: Callable[[str], bool]) -> Answers:
    """Return what answers the routes."""

    def raw(request: Request) -> Response:
        symbol = request.path_params["symbol"]
        page = read_raw_ticks(request.query_params)
        presentation = Presentation.read(request, TABLES, NAMES)
        found, edge = ticks.page(symbol, page)
        if not found and not knows(symbol):
            return unknown(symbol)
        cursor = None
        if edge is not None:
            cursor = TickPlace("before" if page.newest else "after", edge).text()
        shown = Shown(
            "ticks",
            {"symbol": symbol},
            [presentation.row(row) for row in found],
            cursor,
            frozenset({"time", "side", "id", "flags"}),
        )
        return presentation.answer(request, shown)

    return {"/api/ticks/{symbol}": raw}
