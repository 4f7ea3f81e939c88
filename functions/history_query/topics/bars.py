"""GET /api/bars: bars by ticks, volume, traded value and range."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from functions.history_query.api import openapi_schemas as spec
from functions.history_query.api.formats import TABLES, Content, Row
from functions.history_query.api.parameters import DEFAULT_BARS, BarPage, read_bars
from functions.history_query.api.presentation import Presentation
from functions.history_query.api.streaming import PAGE, is_whole_range, streamed_rows
from functions.history_query.api.topic import Topic
from functions.history_query.queries.bars import BAR_FIELDS, BarPages
from functions.history_query.queries.indicators import with_indicators
from functions.history_query.queries.readers import Readers
from functions.history_query.topics import candles, ticks

_OWN: Final = candles.OWN | spec.queries(
    """
    type  tick:100  type  Measure and amount that close a bar: tick:100 (100t) trades, volume:1000
        (1000v) of size, dollar:1000000 (1000000usd) of price x size, range:5 (5r) of high minus
        low. The trade that reaches the amount belongs to the bar whole; bars restart with each
        trading day (UTC, or by tz, session, calendar), which may follow an @ as in channels of the
        live feed: tick:100@XNYS.
    """,
    type={
        "type": "string",
        "pattern": r"^((tick|volume|dollar|range):)?[0-9]+(\.[0-9]+)?(t|v|usd|r)?(@.+)?$",
        "default": DEFAULT_BARS,
    },
)
_COLUMNS: Final = ("t", "time", *BAR_FIELDS[1:])

TOPIC: Final = Topic(
    spec.schemas(
        """
        Bar?
          t           ms       Time of its first trade, ms since 1970 UTC.
          end         ms       Time of its last price-making trade.
          time        string   Local time of `t`, if `tz` is given.
          o,h,l,c     decimal
          v,qv,vw,n,bv,sv  =Candle
          closed      boolean  It has reached its amount, or its day has ended: only a late trade
            may still change it.
          complete    boolean  No known gap of its feed between the start of its day and it.
          indicators  =Candle
        Bars
          symbol,type  string
          bars         [Bar]
          next         string?  Cursor of the next page; null: there are no more. A page may have
            fewer than `limit` and still a cursor.
        """,
        Candle=candles.TOPIC.schemas["Candle"],
    ),
    _OWN,
)


@TOPIC.get(
    "/api/bars/{symbol}",
    "Information bars of an instrument, ascending; without `from` the newest. They are"
    " computed from the stored trades of each day in the total order, whenever these"
    " arrived.",
    "Bars",
    "symbol type from to",
    spec.STREAMED_LIMIT,
    ticks.CURSOR,
    "indicators session calendar tz",
    spec.columns_of("t,end,o,h,l,c,v"),
    spec.format_of(TABLES),
)
def _bars(readers: Readers, request: Request) -> Response:
    symbol, query, bars = request.path_params["symbol"], request.query_params, readers.bars
    presentation = Presentation.read(request, TABLES, _COLUMNS)
    if is_whole_range(query, presentation):
        first_page = read_bars({**query, "limit": str(PAGE)})
        following = partial(_following, bars)
        return streamed_rows(symbol, presentation, first_page, following, readers.require)
    page = read_bars(query)
    page_bars, edge, place = bars.page(symbol, page)
    if not page_bars:
        readers.require(symbol)
    before = partial(bars.before, symbol, page, place)
    shown = map(presentation.row, with_indicators(page.indicators, page_bars, before))
    envelope = {"symbol": symbol, "type": page.type.name}
    return presentation.answer(request, Content("bars", envelope, shown, page.cursor(edge)))


def _following(bars: BarPages, symbol: str, page: BarPage) -> tuple[Sequence[Row], BarPage | None]:
    rows, edge, _ = bars.page(symbol, page)
    return rows, None if edge is None else replace(page, place=edge)
