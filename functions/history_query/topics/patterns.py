"""GET /api/patterns and /api/outcomes: what was found in candles, and what followed it."""

from __future__ import annotations

from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from functions.history_query.api.cursors import MomentCursor
from functions.history_query.api.endpoints import Answers, as_json, unknown
from functions.history_query.api.openapi_schemas import (
    COUNT,
    DECIMAL,
    FROM,
    MS,
    NAME,
    NEXT,
    STORES,
    SYMBOL,
    TIMEFRAME,
    TO,
    Json,
    Part,
    cursor_of,
    get,
    limit,
    list_of,
    object_of,
    query,
    ref,
)
from functions.history_query.queries.outcomes import (
    CANDLES,
    DEFAULT_HORIZON,
    MAX_HORIZON,
    Outcomes,
    read_outcomes,
)
from functions.history_query.queries.patterns import (
    DEFAULT_PATTERNS,
    STATUSES,
    read_patterns,
)

_FRACTION: Final = {"type": "number", "minimum": 0, "maximum": 1}
_HORIZON: Final = query(
    "horizon",
    "Candles after the one that completes a pattern.",
    {"type": "integer", "minimum": 1, "maximum": MAX_HORIZON, "default": DEFAULT_HORIZON},
    10,
)


def _rate(description: str) -> Json:
    return {"type": ["number", "null"], "description": description}


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
        "/api/outcomes/{symbol}": get(
            f"What followed each pattern in the newest {CANDLES} candles of this instrument.",
            ref("Outcomes"),
            *(SYMBOL, TIMEFRAME, _HORIZON),
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
        "Outcomes": object_of(
            {
                "symbol": NAME,
                "timeframe": NAME,
                "horizon": COUNT,
                "candles": {**COUNT, "description": "Closed candles that were looked at."},
                "outcomes": list_of("Outcome"),
            }
        ),
        "Outcome": object_of(
            {
                "pattern_type": NAME,
                "direction": {"enum": [-1, 0, 1], "description": "Down, neither, up."},
                "count": {**COUNT, "description": "How often it was found."},
                "judged": {**COUNT, "description": "Of these, with `horizon` candles after it."},
                "hit_rate": _rate("Share of them after which the close moved their way."),
                "base_hit_rate": _rate("The same share of all candles."),
                "mean_return": _rate("Mean return in their direction, a fraction."),
                "base_return": _rate("The same of all candles."),
                "verdict": {
                    "enum": ["better", "worse", "few", "-"],
                    "description": "Against all candles, at 95 %; `few`: under 10 apart.",
                },
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


def answers(outcomes: Outcomes) -> Answers:
    """Return what answers the routes."""
    patterns, knows = outcomes.patterns, outcomes.pages.knows

    def every(request: Request) -> Response:
        found, cursor = patterns.page(None, read_patterns(request.query_params))
        return as_json({"patterns": found, "next": cursor})

    def page(request: Request) -> Response:
        symbol = request.path_params["symbol"]
        found, cursor = patterns.page(symbol, read_patterns(request.query_params))
        if not found and not knows(symbol):
            return unknown(symbol)
        return as_json({"symbol": symbol, "patterns": found, "next": cursor})

    def after(request: Request) -> Response:
        symbol = request.path_params["symbol"]
        asked, horizon = read_outcomes(request.query_params, outcomes.pages.ladder)
        count, found = outcomes.of(symbol, asked, horizon)
        if not count and not knows(symbol):
            return unknown(symbol)
        told = {"symbol": symbol, "timeframe": asked.timeframe.name, "horizon": horizon}
        return as_json({**told, "candles": count, "outcomes": found})

    return {
        "/api/outcomes/{symbol}": after,
        "/api/patterns": every,
        "/api/patterns/{symbol}": page,
    }
