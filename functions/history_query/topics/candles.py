"""GET /api/candles: pages of candles of every timeframe."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from functions.history_query.api import openapi_schemas as spec
from functions.history_query.api.cursors import CandleCursor
from functions.history_query.api.endpoints import Handlers, unknown
from functions.history_query.api.formats import MEDIA_TYPES, Content
from functions.history_query.api.parameters import Page, read_page
from functions.history_query.api.presentation import CANDLE_COLUMNS, Presentation
from functions.history_query.api.streaming import PAGE, asks_for_all, streamed
from functions.history_query.queries.candles import CandlePages
from functions.history_query.queries.filling import Row, filled_after, filled_before
from functions.history_query.queries.indicators import indicator_values

INDICATORS: Final = spec.query(
    "indicators",
    "Indicators to compute for each candle, separated by commas: sma:20, ema:20, rsi:14, atr:14,"
    " bb:20:2, and all of TA-Lib by name, such as macd:12:26:9, adx:14, stoch:14:3:3, vwap,"
    " donchian, kc, supertrend. Their values do not depend on where the page begins; sums and"
    " stops restart each UTC day. docs/indicators.md lists them.",
    {"type": "string"},
    "sma:20,rsi:14",
)
_AS_OF: Final = spec.query(
    "as_of",
    "Point in time: candles of the ticks received by then (including its millisecond), computed"
    " on reading. `closed`: the interval had ended. Same format as `from`.",
    {"type": "string"},
    "2026-11-21T14:30:00Z",
)
_FILL: Final = spec.query(
    "fill",
    "How to fill intervals without a trade between two candles: not at all, with the previous"
    " close, or with nulls.",
    {"type": "string", "enum": ["none", "previous", "null"], "default": "none"},
    "previous",
)
_ADJUSTED: Final = spec.query(
    "adjusted",
    "Whether to divide volume of unknown side between `bv` and `sv` in proportion to the known"
    " sides.",
    {"type": "string", "enum": ["false", "true"], "default": "false"},
    "true",
)
_CURSOR: Final = spec.cursor_of(CandleCursor("after", 1_764_340_200_000_000).text())
_PRICE: Final = {"type": ["string", "null"], "pattern": spec.DECIMAL["pattern"]}

PART: Final = spec.Part(
    {
        "/api/candles/{symbol}": spec.get(
            "Candles of an instrument, ascending; without `from` the newest.",
            spec.ref("Candles"),
            "symbol timeframe from to",
            spec.STREAMED_LIMIT,
            _CURSOR,
            INDICATORS,
            _AS_OF,
            "session calendar",
            _FILL,
            _ADJUSTED,
            "tz",
            spec.columns_of("t,o,h,l,c,v"),
            spec.format_of(tuple(MEDIA_TYPES)),
            refusals=spec.STORES,
            headers=spec.PAGE_HEADERS,
        ),
    },
    {
        "Candle": spec.object_of(
            {
                "t": spec.MS("Start of the interval, ms since 1970 UTC."),
                "time": spec.NAME("Local time, if `tz` is given."),
                **dict.fromkeys(("o", "h", "l", "c"), _PRICE),
                "v": spec.DECIMAL("Volume."),
                "qv": spec.DECIMAL("Notional: the sum of price x size, exact."),
                "vw": spec.NAME(
                    "Volume-weighted average price, 20 digits; null without volume.", null=True
                ),
                "n": spec.COUNT("Trades."),
                "bv": spec.DECIMAL("Volume of trades whose aggressor bought."),
                "sv": spec.DECIMAL("Volume of trades whose aggressor sold."),
                "closed": spec.BOOLEAN("Only a late trade may still change it."),
                "partial": spec.BOOLEAN("It began before the first tick seen."),
                "complete": spec.BOOLEAN("It touches no known gap of its feed."),
                "revision": spec.COUNT(
                    "The highest wins; the highest of its parts if it is folded from shorter"
                    " candles; 0 if it is computed from ticks."
                ),
                "origin": {
                    "type": "string",
                    "enum": ["trades", "venue"],
                    "description": "Computed from trades, or published by the venue (of a longer"
                    " candle: at least one part).",
                },
                "indicators": {
                    "type": "object",
                    "description": "If requested; null before the first value.",
                    "additionalProperties": {"type": ["number", "null"]},
                },
            },
            required=[],
        ),
        "Candles": spec.object_of(
            {
                "symbol": spec.NAME,
                "timeframe": spec.NAME,
                "candles": spec.list_of("Candle", "Ascending by time."),
                "next": spec.NAME(
                    "Cursor of the next page: later candles if the request has `from`, else"
                    " earlier ones. Null: there are no more. A page may have fewer than `limit`"
                    " and still a cursor.",
                    null=True,
                ),
            }
        ),
    },
)


def handlers(pages: CandlePages) -> Handlers:
    """Return the handlers of the routes."""

    def candles(request: Request) -> Response:
        symbol = request.path_params["symbol"]
        query = request.query_params
        presentation = Presentation.read(request, tuple(MEDIA_TYPES), CANDLE_COLUMNS)
        if asks_for_all(query, presentation):
            return _all(
                pages, symbol, read_page({**query, "limit": str(PAGE)}, pages.ladder), presentation
            )
        page = read_page(query, pages.ladder)
        rows, cursor = pages.page(symbol, page)
        if not rows and not pages.knows(symbol):
            return unknown(symbol)
        if page.indicators and rows:
            before = partial(pages.before, symbol, page, rows[0]["t"] * 1000)
            values = indicator_values(page.indicators, rows, before, page.timeframe.length_us)
            rows = [{**c, "indicators": each} for c, each in zip(rows, values, strict=True)]
        output_rows: Sequence[Row] = rows
        if presentation.fill != "none":
            output_rows, cursor = _filled(
                pages,
                symbol,
                page,
                query.get("cursor"),
                rows,
                cursor,
                previous=presentation.fill == "previous",
            )
        envelope = {"symbol": symbol, "timeframe": page.timeframe.name}
        texts = frozenset({"time", "origin"})
        return presentation.answer(
            request,
            Content(
                "candles", envelope, [presentation.row(row) for row in output_rows], cursor, texts
            ),
        )

    return {"/api/candles/{symbol}": candles}


def _all(pages: CandlePages, symbol: str, page: Page, presentation: Presentation) -> Response:
    """Stream the whole range."""

    def following() -> tuple[Sequence[Row], bool]:
        nonlocal page
        rows, cursor = pages.page(symbol, page)
        if rows:
            page = replace(page, from_us=page.timeframe.next_us(rows[-1]["t"] * 1000))
        return rows, cursor is not None

    first = following()
    if not first[0] and not pages.knows(symbol):
        return unknown(symbol)
    return streamed(presentation, first, following)


def _filled(
    pages: CandlePages,
    symbol: str,
    page: Page,
    request_cursor: str | None,
    rows: Sequence[Row],
    cursor: str | None,
    *,
    previous: bool,
) -> tuple[list[Row], str | None]:
    """Fill gaps within the page, and between it and the page that the request's cursor ended."""
    timeframe = page.timeframe
    edge_us = CandleCursor.read(request_cursor).start_us if request_cursor else None
    if page.newest:
        filled, is_cut = filled_before(
            rows, page.limit, timeframe, previous=previous, until_us=edge_us
        )
        if is_cut:
            cursor = CandleCursor("before", filled[0]["t"] * 1000).text()
        return filled, cursor
    before: Row | None = None
    if edge_us is not None and rows:
        earlier = pages.before(symbol, page, timeframe.next_us(edge_us), 1)
        if earlier:
            before = {**earlier[0], "t": edge_us // 1000}
    filled, is_cut = filled_after(rows, page.limit, timeframe, previous=previous, before=before)
    if is_cut:
        cursor = CandleCursor("after", filled[-1]["t"] * 1000).text()
    return filled, cursor
