"""GET /api/flow and /api/profile: who traded, over time and by price."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from functions.history_query.api.cursors import CandleCursor
from functions.history_query.api.endpoints import Answers, as_json, unknown
from functions.history_query.api.formats import TABLES, Shown
from functions.history_query.api.openapi_schemas import (
    CALENDAR,
    COUNT,
    DECIMAL,
    FROM,
    MS,
    NAME,
    NEXT,
    PAGE_HEADERS,
    SESSION,
    STORES,
    SYMBOL,
    TIMEFRAME,
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
    query,
    ref,
)
from functions.history_query.api.presentation import Presentation
from functions.history_query.queries.flow import Flow
from functions.history_query.queries.flow_request import read_flow, read_profile

_CURSOR: Final = cursor_of(CandleCursor("after", 1_764_340_200_000_000).text())
_ANCHOR: Final = query(
    "anchor",
    "Since when `cd` and `vw` are added up: `day`, each trading day (UTC, or by tz, session,"
    " calendar), or any time, written as `from` is.",
    {"type": "string", "default": "day"},
    "day",
)
_STEP: Final = query(
    "step",
    "Prices are counted at the next multiple of it below; without it each by itself.",
    {"type": "string", "pattern": r"^[0-9]{1,24}(\.[0-9]{1,24})?$"},
    "0.5",
)
_SHARE: Final = query(
    "value_area",
    "The share of the volume that the value area has.",
    {"type": "string", "pattern": r"^[0-9]{1,24}(\.[0-9]{1,24})?$", "default": "0.7"},
    "0.7",
)
_VOLUMES: Final = {
    "v": {**DECIMAL, "description": "Volume."},
    "bv": {**DECIMAL, "description": "Volume of trades whose aggressor bought."},
    "sv": {**DECIMAL, "description": "Volume of trades whose aggressor sold."},
    "ebv": {
        **DECIMAL,
        "description": "Volume of unknown side, bought by the tick rule: an estimate.",
    },
    "esv": {**DECIMAL, "description": "Volume of unknown side, sold by the tick rule."},
}
_OR_NULL: Final = {"type": ["string", "null"], "pattern": DECIMAL["pattern"]}
_COLUMNS: Final = ("t", "time", *_VOLUMES, "d", "cd", "vw", "closed")

PART: Final = Part(
    {
        "/api/flow/{symbol}": get(
            "Delta, cumulative delta and anchored VWAP of each candle, ascending; without `from` of"
            " the newest.",
            ref("Flows"),
            *(SYMBOL, TIMEFRAME, FROM, TO, limit(1_000), _CURSOR, _ANCHOR),
            *(SESSION, CALENDAR, TZ, columns_of("t,d,cd,vw"), format_of(TABLES)),
            refusals=STORES,
            headers=PAGE_HEADERS,
        ),
        "/api/profile/{symbol}": get(
            "Volume by price and side of any range, by default the last 24 hours.",
            ref("Profile"),
            *(SYMBOL, FROM, TO, TZ, _STEP, _SHARE),
            refusals=STORES,
        ),
    },
    {
        "Flow": object_of(
            {
                "t": {**MS, "description": "Start of the candle, ms since 1970 UTC."},
                "time": {**NAME, "description": "Local time, where `tz` is given."},
                **_VOLUMES,
                "d": {**DECIMAL, "description": "Delta: bought less sold, estimates included."},
                "cd": {**_OR_NULL, "description": "Delta since the anchor; null before it."},
                "vw": {**_OR_NULL, "description": "VWAP since the anchor, 20 digits."},
                "closed": {"type": "boolean"},
            },
            required=[],
        ),
        "Flows": object_of(
            {"symbol": NAME, "timeframe": NAME, "flow": list_of("Flow"), "next": NEXT}
        ),
        "Level": object_of({"p": {**DECIMAL, "description": "Price."}, **_VOLUMES}),
        "Profile": object_of(
            {
                "symbol": NAME,
                "from": MS,
                "to": MS,
                "n": {**COUNT, "description": "Trades."},
                **_VOLUMES,
                "vw": {**_OR_NULL, "description": "VWAP, 20 digits."},
                "poc": {**_OR_NULL, "description": "Point of control: the price of most volume."},
                "val": {**_OR_NULL, "description": "The lowest price of the value area."},
                "vah": {**_OR_NULL, "description": "The highest price of the value area."},
                "levels": {**list_of("Level"), "description": "Ascending by price."},
            }
        ),
    },
)


def answers(flow: Flow, knows: Callable[[str], bool]) -> Answers:
    """Return what answers the routes. `knows` tells whether an instrument was ever seen."""

    def page(request: Request) -> Response:
        symbol = request.path_params["symbol"]
        presentation = Presentation.read(request, TABLES, _COLUMNS)
        wanted = read_flow(request.query_params, flow.pages.ladder)
        found, cursor = flow.page(symbol, wanted)
        if not found and not knows(symbol):
            return unknown(symbol)
        envelope = {"symbol": symbol, "timeframe": wanted.page.timeframe.name}
        rows = [presentation.row(row) for row in found]
        return presentation.answer(
            request, Shown("flow", envelope, rows, cursor, frozenset({"time"}))
        )

    def profile(request: Request) -> Response:
        symbol = request.path_params["symbol"]
        wanted = read_profile(request.query_params)
        found = flow.profile(symbol, wanted)
        if not found["n"] and not knows(symbol):
            return unknown(symbol)
        bounds = {"from": wanted.from_us // 1000, "to": wanted.to_us // 1000}
        return as_json({"symbol": symbol, **bounds, **found})

    return {"/api/flow/{symbol}": page, "/api/profile/{symbol}": profile}
