"""GET /api/candles: pages of candles of every timeframe."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from itertools import islice
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response

from functions.history_query.api import openapi_schemas as spec
from functions.history_query.api.cursors import CandleCursor
from functions.history_query.api.formats import MEDIA_TYPES, Content, Row, held
from functions.history_query.api.parameters import Page, read_page
from functions.history_query.api.presentation import CANDLE_COLUMNS, Presentation
from functions.history_query.api.streaming import PAGE, is_whole_range, streamed_rows
from functions.history_query.api.topic import Topic
from functions.history_query.queries.candles import CandlePages
from functions.history_query.queries.indicators import with_indicators
from functions.history_query.queries.readers import Readers

OWN: Final = spec.queries(
    """
    indicators  sma:20,rsi:14  string  Indicators to compute for each candle, separated by commas:
        sma:20, ema:20, rsi:14, atr:14, bb:20:2, and all of TA-Lib by name, such as macd:12:26:9,
        adx:14, stoch:14:3:3, vwap, donchian, kc, supertrend. Their values do not depend on where
        the page begins; sums and stops restart each UTC day. docs/indicators.md lists them.
    as_of       2026-11-21T14:30:00Z  string  Point in time: candles of the ticks received by then
        (including its millisecond), computed on reading. `closed`: the interval had ended. Same
        format as `from`.
    fill        previous  fill  How to fill intervals without a trade between two candles: not at
        all, with the previous close, or with nulls.
    adjusted    true  adjusted  Whether to divide volume of unknown side between `bv` and `sv` in
        proportion to the known sides.
    """,
    fill={"type": "string", "enum": ["none", "previous", "null"], "default": "none"},
    adjusted={"type": "string", "enum": ["false", "true"], "default": "false"},
)
CURSOR: Final = spec.cursor_of(CandleCursor("after", 1_764_340_200_000_000).text())
_NOTHING: Final[Row] = {
    "v": "0",
    "vw": None,
    "n": 0,
    "qv": "0",
    "bv": "0",
    "sv": "0",
    "closed": True,
    "partial": False,
    "complete": True,
    "revision": 0,
    "origin": "trades",
}

TOPIC: Final = Topic(
    spec.schemas(
        """
        Candle?
          t           ms        Start of the interval, ms since 1970 UTC.
          time        string    Local time, if `tz` is given.
          o,h,l,c     decimal?
          v           decimal   Volume.
          qv          decimal   Notional: the sum of price x size, exact.
          vw          string?   Volume-weighted average price, 20 digits; null without volume.
          n           count     Trades.
          bv          decimal   Volume of trades whose aggressor bought.
          sv          decimal   Volume of trades whose aggressor sold.
          closed      boolean   Only a late trade may still change it.
          partial     boolean   It began before the first tick seen.
          complete    boolean   It touches no known gap of its feed.
          revision    count     The highest wins; the highest of its parts if it is folded from
            shorter candles; 0 if it is computed from ticks.
          origin      origin    Computed from trades, or published by the venue (of a longer candle:
            at least one part).
          indicators  {number?}  If requested; null before the first value.
        Candles
          symbol,timeframe  string
          candles     [Candle]  Ascending by time.
          next        string?   Cursor of the next page: later candles if the request has `from`,
            else earlier ones. Null: there are no more. A page may have fewer than `limit` and still
            a cursor.
        """,
        origin={"type": "string", "enum": ["trades", "venue"]},
    ),
    OWN,
)


@TOPIC.get(
    "/api/candles/{symbol}",
    "Candles of an instrument, ascending; without `from` the newest.",
    "Candles",
    "symbol timeframe from to",
    spec.STREAMED_LIMIT,
    CURSOR,
    "indicators as_of session calendar fill adjusted tz",
    spec.columns_of("t,o,h,l,c,v"),
    spec.format_of(tuple(MEDIA_TYPES)),
)
def _candles(readers: Readers, request: Request) -> Response:
    symbol, query, pages = request.path_params["symbol"], request.query_params, readers.candles
    presentation = Presentation.read(request, tuple(MEDIA_TYPES), CANDLE_COLUMNS)
    if is_whole_range(query, presentation):
        first_page = read_page({**query, "limit": str(PAGE)}, pages.ladder)
        following = partial(_following, pages)
        return streamed_rows(symbol, presentation, first_page, following, readers.require)
    page = read_page(query, pages.ladder)
    rows, cursor = pages.page(symbol, page)
    if not rows:
        readers.require(symbol)
    rows = with_indicators(
        page.indicators,
        rows,
        lambda count: pages.before(symbol, page, rows[0]["t"] * 1000, count),
        page.timeframe.length_us,
    )
    if rows and presentation.fill != "none":
        previous = presentation.fill == "previous"
        rows, is_cut = _filled(pages, symbol, page, query.get("cursor"), rows, previous)
        cursor = page.cursor(rows) if is_cut else cursor
    envelope = {"symbol": symbol, "timeframe": page.timeframe.name}
    shown = map(presentation.row, rows)
    return presentation.answer(request, Content("candles", envelope, shown, cursor))


def _following(pages: CandlePages, symbol: str, page: Page) -> tuple[Sequence[Row], Page | None]:
    rows, cursor = pages.page(symbol, page)
    if cursor is None:
        return rows, None
    return rows, replace(page, from_us=page.timeframe.next_us(rows[-1]["t"] * 1000))


def _filled(
    pages: CandlePages,
    symbol: str,
    page: Page,
    cursor: str | None,
    rows: Sequence[Row],
    previous: bool,
) -> tuple[Sequence[Row], bool]:
    """Fill gaps within the page, and between it and the page that the request's cursor ended.

    Return as many rows as the page may have, from where reading begins, and whether there are more.
    """
    frame, newest = page.timeframe, page.newest
    shape: dict[str, Any] = dict.fromkeys(rows[0])  # keys in one order in each row
    if "indicators" in shape:
        shape["indicators"] = dict.fromkeys(rows[0]["indicators"])
    edge: Row | None = None
    if cursor:
        edge_us = CandleCursor.read(cursor).start_us
        edge = {"t": edge_us // 1000}
        if not newest:
            before = next(pages.before(symbol, page, frame.next_us(edge_us), 1), None)
            edge = {**before[-1], **edge} if before else None

    def gap(row: Row, later: Row) -> Iterator[Row]:
        row_us, until_us = row["t"] * 1000, later["t"] * 1000
        start_us = frame.start_us(until_us - 1) if newest else frame.next_us(row_us)
        while row_us < start_us < until_us:
            price = row["c"] if previous else None
            yield {**shape, "t": start_us // 1000, **dict.fromkeys("ohlc", price), **_NOTHING}
            start_us = frame.start_us(start_us - 1) if newest else frame.next_us(start_us)

    def in_reading_order(last: Row | None) -> Iterator[Row]:
        for row in reversed(rows) if newest else rows:
            if last is not None:
                yield from gap(row, last) if newest else gap(last, row)
            yield row
            last = row

    filled = in_reading_order(edge)
    some = held(islice(filled, page.limit), newest=newest)
    return some, next(filled, None) is not None
