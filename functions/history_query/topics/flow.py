"""GET /api/flow and /api/profile: who traded, over time and by price."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from functions.history_query.api import openapi_schemas as spec
from functions.history_query.api.cursors import CandleCursor
from functions.history_query.api.endpoints import Handlers, as_json, unknown
from functions.history_query.api.formats import TABLES, Content
from functions.history_query.api.presentation import Presentation
from functions.history_query.queries.flow import Flow
from functions.history_query.queries.flow_request import read_flow, read_profile

_CURSOR: Final = spec.cursor_of(CandleCursor("after", 1_764_340_200_000_000).text())
_ANCHOR: Final = spec.query(
    "anchor",
    "Anchor of `cd` and `vw`: `day`, the start of each trading day (UTC, or by tz, session,"
    " calendar), or any time in the format of `from`.",
    {"type": "string", "default": "day"},
    "day",
)
_STEP: Final = spec.query(
    "step",
    "Price step: prices are rounded down to a multiple of it; by default they are not rounded.",
    {"type": "string", "pattern": r"^[0-9]{1,24}(\.[0-9]{1,24})?$"},
    "0.5",
)
_SHARE: Final = spec.query(
    "value_area",
    "Share of the volume in the value area.",
    {"type": "string", "pattern": r"^[0-9]{1,24}(\.[0-9]{1,24})?$", "default": "0.7"},
    "0.7",
)
_VOLUMES: Final = {
    "v": spec.DECIMAL("Volume."),
    "bv": spec.DECIMAL("Volume of trades whose aggressor bought."),
    "sv": spec.DECIMAL("Volume of trades whose aggressor sold."),
    "ebv": spec.DECIMAL("Volume of unknown side, estimated as bought by the tick rule."),
    "esv": spec.DECIMAL("Volume of unknown side, estimated as sold by the tick rule."),
}
_COLUMNS: Final = ("t", "time", *_VOLUMES, "d", "cd", "vw", "closed")

PART: Final = spec.Part(
    {
        "/api/flow/{symbol}": spec.get(
            "Delta, cumulative delta and anchored VWAP of each candle, ascending; without `from`"
            " the newest.",
            spec.ref("Flows"),
            "symbol timeframe from to",
            spec.limit(1_000),
            _CURSOR,
            _ANCHOR,
            "session calendar tz",
            spec.columns_of("t,d,cd,vw"),
            spec.format_of(TABLES),
            refusals=spec.STORES,
            headers=spec.PAGE_HEADERS,
        ),
        "/api/profile/{symbol}": spec.get(
            "Volume by price and side of any range, by default the last 24 hours.",
            spec.ref("Profile"),
            "symbol from to tz",
            _STEP,
            _SHARE,
            refusals=spec.STORES,
        ),
    },
    {
        "Flow": spec.object_of(
            {
                "t": spec.MS("Start of the candle, ms since 1970 UTC."),
                "time": spec.NAME("Local time, if `tz` is given."),
                **_VOLUMES,
                "d": spec.DECIMAL("Delta: bought minus sold volume, including estimates."),
                "cd": spec.DECIMAL("Delta since the anchor; null before it.", null=True),
                "vw": spec.DECIMAL("VWAP since the anchor, 20 digits.", null=True),
                "closed": {"type": "boolean"},
            },
            required=[],
        ),
        "Flows": spec.object_of(
            {
                "symbol": spec.NAME,
                "timeframe": spec.NAME,
                "flow": spec.list_of("Flow"),
                "next": spec.NEXT,
            }
        ),
        "Level": spec.object_of({"p": spec.DECIMAL("Price."), **_VOLUMES}),
        "Profile": spec.object_of(
            {
                "symbol": spec.NAME,
                "from": spec.MS,
                "to": spec.MS,
                "n": spec.COUNT("Trades."),
                **_VOLUMES,
                "vw": spec.DECIMAL("VWAP, 20 digits.", null=True),
                "poc": spec.DECIMAL("Point of control: the price with the most volume.", null=True),
                "val": spec.DECIMAL("The lowest price of the value area.", null=True),
                "vah": spec.DECIMAL("The highest price of the value area.", null=True),
                "levels": spec.list_of("Level", "Ascending by price."),
            }
        ),
    },
)


def handlers(flow: Flow, knows: Callable[[str], bool]) -> Handlers:
    """Return the handlers of the routes. `knows` tells whether an instrument was ever seen."""

    def page(request: Request) -> Response:
        symbol = request.path_params["symbol"]
        presentation = Presentation.read(request, TABLES, _COLUMNS)
        flow_request = read_flow(request.query_params, flow.pages.ladder)
        flow_rows, cursor = flow.page(symbol, flow_request)
        if not flow_rows and not knows(symbol):
            return unknown(symbol)
        envelope = {"symbol": symbol, "timeframe": flow_request.page.timeframe.name}
        rows = [presentation.row(row) for row in flow_rows]
        return presentation.answer(
            request, Content("flow", envelope, rows, cursor, frozenset({"time"}))
        )

    def profile(request: Request) -> Response:
        symbol = request.path_params["symbol"]
        profile_request = read_profile(request.query_params)
        result = flow.profile(symbol, profile_request)
        if not result["n"] and not knows(symbol):
            return unknown(symbol)
        bounds = {"from": profile_request.from_us // 1000, "to": profile_request.to_us // 1000}
        return as_json({"symbol": symbol, **bounds, **result})

    return {"/api/flow/{symbol}": page, "/api/profile/{symbol}": profile}
