"""GET /api/patterns: what was found in an instrument's candles."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from functions.history_query.answering import Answers, as_json, unknown
from functions.history_query.cursors import MomentCursor
from functions.history_query.describing import (
    COUNT,
    DECIMAL,
    FROM,
    MS,
    NAME,
    NEXT,
    STORES,
    SYMBOL,
    TO,
    Part,
    cursor_of,
    get,
    limit,
    list_of,
    object_of,
    query,
    ref,
)
from functions.history_query.patterns import (
    DEFAULT_PATTERNS,
    STATUSES,
    PatternPages,
    read_patterns,
)

_FRACTION: Final = {"type": "number", "minimum": 0, "maximum": 1}
_CHOICE: Final = (
    query("timeframe", "Only of this timeframe.", {"type": "string"}, "1m"),
    query("type", "Only this pattern, such as double_top.", {"type": "string"}, "double_top"),
    query("min_confidence", "Only from this confidence on.", _FRACTION, 0.7),
    *(FROM, TO),
    query(
        "status",
        "Those that hold, or those that a correction of the candles has undone.",
        {"enum": list(STATUSES), "default": STATUSES[0]},
        "all",
    ),
    *(limit(DEFAULT_PATTERNS), cursor_of(MomentCursor(1_764_340_200_000_000, "1").text())),
)

PART: Final = Part(
    {
        "/api/patterns": get(
            "Patterns and anomalies of all instruments, the newest first.",
            object_of({"patterns": list_of("Pattern"), "next": NEXT}),
            *_CHOICE,
            refusals=(400, 503),
        ),
        "/api/patterns/{symbol}": get(
            "Patterns and anomalies found in closed candles, the newest first.",
            ref("Patterns"),
            *(SYMBOL, *_CHOICE),
            refusals=STORES,
        ),
    },
    {
        "Pattern": object_of(
            {
                "id": {**NAME, "description": "The same in every revision."},
                "symbol": NAME,
                "timeframe": NAME,
                "pattern_type": NAME,
                "kind": {"enum": ["candlestick", "chart", "anomaly"]},
                "direction": {"enum": [-1, 0, 1], "description": "Down, neither, up."},
                "confidence": _FRACTION,
                "level": {"enum": ["low", "medium", "high"]},
                "trigger_price": DECIMAL,
                "timestamp": {**MS, "description": "When its last candle had ended, ms."},
                "begin": {**MS, "description": "Start of its first candle, ms."},
                "features": {
                    "type": "object",
                    "description": "What the detector measured.",
                    "additionalProperties": {"type": "number"},
                },
                "candle_data": object_of(
                    dict.fromkeys(("open", "high", "low", "close", "volume"), DECIMAL)
                ),
                "source": NAME,
                "status": {"enum": ["active", "retracted"]},
                "revision": {**COUNT, "description": "The highest wins."},
            }
        ),
        "Patterns": object_of(
            {
                "symbol": NAME,
                "patterns": list_of("Pattern"),
                "next": NEXT,
            }
        ),
    },
)


def answers(patterns: PatternPages, knows: Callable[[str], bool]) -> Answers:
    """Return what answers the routes. `knows` tells whether an instrument was ever seen."""

    def every(request: Request) -> Response:
        found, cursor = patterns.page(None, read_patterns(request.query_params))
        return as_json({"patterns": found, "next": cursor})

    def page(request: Request) -> Response:
        symbol = request.path_params["symbol"]
        found, cursor = patterns.page(symbol, read_patterns(request.query_params))
        if not found and not knows(symbol):
            return unknown(symbol)
        return as_json({"symbol": symbol, "patterns": found, "next": cursor})

    return {"/api/patterns": every, "/api/patterns/{symbol}": page}
