"""GET /api/bars: bars by ticks, volume, traded value and range."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response

from functions.history_query.api import openapi_schemas as spec
from functions.history_query.api.cursors import TickPlace
from functions.history_query.api.endpoints import Handlers, unknown
from functions.history_query.api.formats import TABLES, Content, Row
from functions.history_query.api.presentation import Presentation
from functions.history_query.api.streaming import PAGE, asks_for_all, streamed
from functions.history_query.queries.bar_request import DEFAULT_TYPE, read_bars
from functions.history_query.queries.bars import BarPages
from functions.history_query.queries.indicators import indicator_values
from functions.history_query.topics import candles
from shared.market.order import OrderKey

_TYPE: Final[dict[str, Any]] = {
    **spec.query(
        "type",
        "Measure and amount that close a bar: tick:100 (100t) trades, volume:1000 (1000v) of"
        " size, dollar:1000000 (1000000usd) of price x size, range:5 (5r) of high minus low. The"
        " trade that reaches the amount belongs to the bar whole; bars restart with each trading"
        " day (UTC, or by tz, session, calendar), which may follow an @ as in channels of the live"
        " feed: tick:100@XNYS.",
        {
            "type": "string",
            "pattern": r"^((tick|volume|dollar|range):)?[0-9]+(\.[0-9]+)?(t|v|usd|r)?(@.+)?$",
            "default": DEFAULT_TYPE,
        },
        "tick:100",
    ),
}
_CURSOR: Final = spec.cursor_of(
    TickPlace.of("after", OrderKey(1_764_340_200_000_000, 0, 0, 0, 0)).text()
)
_SHOWN: Final = ("t", "end", *"ohlcv", "qv", "vw", "n", "bv", "sv", "closed", "complete")
_COLUMNS: Final = ("t", "time", *_SHOWN[1:])
_OF_CANDLE: Final = candles.PART.schemas["Candle"]["properties"]

PART: Final = spec.Part(
    {
        "/api/bars/{symbol}": spec.get(
            "Information bars of an instrument, ascending; without `from` the newest. They are"
            " computed from the stored trades of each day in the total order, whenever these"
            " arrived.",
            spec.ref("Bars"),
            "symbol",
            _TYPE,
            "from to",
            spec.STREAMED_LIMIT,
            _CURSOR,
            candles.INDICATORS,
            "session calendar tz",
            spec.columns_of("t,end,o,h,l,c,v"),
            spec.format_of(TABLES),
            refusals=spec.STORES,
            headers=spec.PAGE_HEADERS,
        ),
    },
    {
        "Bar": spec.object_of(
            {
                "t": spec.MS("Time of its first trade, ms since 1970 UTC."),
                "end": spec.MS("Time of its last price-making trade."),
                "time": spec.NAME("Local time of `t`, if `tz` is given."),
                **dict.fromkeys("ohlc", spec.DECIMAL),
                **{name: _OF_CANDLE[name] for name in ("v", "qv", "vw", "n", "bv", "sv")},
                "closed": spec.BOOLEAN(
                    "It has reached its amount, or its day has ended: only a late trade may still"
                    " change it."
                ),
                "complete": spec.BOOLEAN(
                    "No known gap of its feed between the start of its day and it."
                ),
                "indicators": _OF_CANDLE["indicators"],
            },
            required=[],
        ),
        "Bars": spec.object_of(
            {
                "symbol": spec.NAME,
                "type": spec.NAME,
                "bars": spec.list_of("Bar"),
                "next": spec.NAME(
                    "Cursor of the next page; null: there are no more. A page may have fewer than"
                    " `limit` and still a cursor.",
                    null=True,
                ),
            }
        ),
    },
)


def handlers(bars: BarPages, knows: Callable[[str], bool]) -> Handlers:
    """Return the handlers of the routes. `knows` tells whether an instrument was ever seen."""

    def page(request: Request) -> Response:
        symbol, query = request.path_params["symbol"], request.query_params
        presentation = Presentation.read(request, TABLES, _COLUMNS)
        if asks_for_all(query, presentation):
            bar_page = read_bars({**query, "limit": str(PAGE)})

            def following() -> tuple[list[Row], bool]:
                nonlocal bar_page
                page_bars, edge, _ = bars.page(symbol, bar_page)
                bar_page = replace(bar_page, place=edge)
                return [_row(each) for each in page_bars], edge is not None

            first = following()
            if not first[0] and not knows(symbol):
                return unknown(symbol)
            return streamed(presentation, first, following)
        bar_page = read_bars(query)
        page_bars, edge, place = bars.page(symbol, bar_page)
        if not page_bars and not knows(symbol):
            return unknown(symbol)
        cursor = None
        if edge is not None:
            cursor = TickPlace.of("before" if bar_page.newest else "after", edge).text()
        rows: list[Row] = [_row(each) for each in page_bars]
        if bar_page.indicators and place is not None:
            before = partial(bars.before, symbol, bar_page, place)
            values = indicator_values(bar_page.indicators, page_bars, before)
            rows = [{**row, "indicators": each} for row, each in zip(rows, values, strict=True)]
        rows = [presentation.row(row) for row in rows]
        envelope = {"symbol": symbol, "type": bar_page.type.name}
        return presentation.answer(
            request, Content("bars", envelope, rows, cursor, frozenset({"time"}))
        )

    return {"/api/bars/{symbol}": page}


def _row(bar: Row) -> Row:
    return {name: bar[name] for name in _SHOWN}
