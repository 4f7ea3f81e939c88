"""GET /api/candles: pages of candles of every timeframe."""

from __future__ import annotations

from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from functions.history_query.answering import Answers, as_json, unknown
from functions.history_query.candles import CandlePages
from functions.history_query.describing import (
    COUNT,
    CURSOR,
    DECIMAL,
    FROM,
    MS,
    NAME,
    STORES,
    SYMBOL,
    TO,
    Part,
    get,
    limit,
    list_of,
    object_of,
    query,
    ref,
)
from functions.history_query.indicators import indicator_values
from functions.history_query.parameters import read_page
from shared.candle_json import candle_json

_TIMEFRAME: Final = query(
    "timeframe",
    "A kept timeframe (by default the base), any multiple of the base up to 7d, made from shorter"
    " candles, or other whole seconds up to 1h, made from ticks.",
    {"type": "string", "pattern": "^[1-9][0-9]{0,3}[smhd]$", "examples": ["1s", "1m", "2h"]},
)

_INDICATORS: Final = query(
    "indicators",
    "Indicators to compute for each candle, with commas between: sma:20, ema:20, rsi:14, atr:14,"
    " bb:20:2. Their values do not depend on where the page begins.",
    {"type": "string", "examples": ["sma:20,rsi:14"]},
)
_CANDLE_FIELDS: Final = [
    "t",
    "o",
    "h",
    "l",
    "c",
    "v",
    "vw",
    "n",
    "bv",
    "sv",
    "closed",
    "partial",
    "complete",
    "revision",
]

PART: Final = Part(
    {
        "/api/candles/{symbol}": get(
            "Candles of an instrument, ascending; without `from` the newest.",
            ref("Candles"),
            *(SYMBOL, _TIMEFRAME, FROM, TO, limit(1_000), CURSOR, _INDICATORS),
            refusals=STORES,
        ),
    },
    {
        "Candle": object_of(
            {
                "t": {**MS, "description": "Start of the interval, ms since 1970 UTC."},
                **dict.fromkeys(("o", "h", "l", "c"), DECIMAL),
                "v": {**DECIMAL, "description": "Volume."},
                "vw": {
                    "type": ["string", "null"],
                    "description": "Volume-weighted average price, 20 digits; null without volume.",
                },
                "n": {**COUNT, "description": "Trades."},
                "bv": {**DECIMAL, "description": "Volume of trades whose aggressor bought."},
                "sv": {**DECIMAL, "description": "Volume of trades whose aggressor sold."},
                "closed": {
                    "type": "boolean",
                    "description": "Only a late trade may still change it.",
                },
                "partial": {
                    "type": "boolean",
                    "description": "It began before the first tick seen.",
                },
                "complete": {
                    "type": "boolean",
                    "description": "It touches no known gap of its feed.",
                },
                "revision": {
                    **COUNT,
                    "description": "The highest wins; of its parts where it is made of shorter"
                    " candles; 0 where it is made of ticks.",
                },
                "indicators": {
                    "type": "object",
                    "description": "Where they were asked for; null before there is a value.",
                    "additionalProperties": {"type": ["number", "null"]},
                },
            },
            required=_CANDLE_FIELDS,
        ),
        "Candles": object_of(
            {
                "symbol": NAME,
                "timeframe": NAME,
                "candles": {**list_of("Candle"), "description": "Ascending by time."},
                "next": {
                    "type": ["string", "null"],
                    "description": "The cursor of the next page: later candles if the request has"
                    " `from`, else earlier ones. Null: there are no more. A page may hold fewer"
                    " than `limit` and still have one.",
                },
            }
        ),
    },
)


def answers(pages: CandlePages) -> Answers:
    """Return what answers the routes."""

    def candles(request: Request) -> Response:
        symbol = request.path_params["symbol"]
        page = read_page(request.query_params, pages.ladder)
        found, cursor = pages.page(symbol, page)
        if not found and not pages.knows(symbol):
            return unknown(symbol)
        shown = [candle_json(candle) for candle in found]
        if page.indicators:
            values = indicator_values(pages, symbol, page, found)
            shown = [{**c, "indicators": each} for c, each in zip(shown, values, strict=True)]
        return as_json(
            {
                "symbol": symbol,
                "timeframe": page.timeframe.name,
                "candles": shown,
                "next": cursor,
            }
        )

    return {"/api/candles/{symbol}": candles}
