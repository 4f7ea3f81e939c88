"""GET /api/patterns and /api/outcomes: what was found in candles, and what followed it."""

from __future__ import annotations

from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from functions.history_query.api import openapi_schemas as spec
from functions.history_query.api.cursors import MomentCursor
from functions.history_query.api.endpoints import Handlers, as_json, unknown
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
_HORIZON: Final = spec.query(
    "horizon",
    "Candles after the one that completes a pattern.",
    {"type": "integer", "minimum": 1, "maximum": MAX_HORIZON, "default": DEFAULT_HORIZON},
    10,
)


def _rate(description: str) -> spec.Json:
    return {"type": ["number", "null"], "description": description}


_CHOICE: Final = (
    spec.query("timeframe", "Only of this timeframe.", {"type": "string"}, "1m"),
    spec.query("type", "Only this pattern, such as double_top.", {"type": "string"}, "double_top"),
    spec.query("min_confidence", "Only from this confidence on.", _FRACTION, 0.7),
    "from to",
    spec.query(
        "status",
        "Those that hold, or those that a correction of the candles has undone.",
        {"enum": list(STATUSES), "default": STATUSES[0]},
        "all",
    ),
    spec.limit(DEFAULT_PATTERNS),
    spec.cursor_of(MomentCursor(1_764_340_200_000_000, "1").text()),
)

PART: Final = spec.Part(
    {
        "/api/patterns": spec.get(
            "Patterns and anomalies of all instruments, the newest first.",
            spec.object_of({"patterns": spec.list_of("Pattern"), "next": spec.NEXT}),
            *_CHOICE,
            refusals=(400, 503),
        ),
        "/api/patterns/{symbol}": spec.get(
            "Patterns and anomalies found in closed candles, the newest first.",
            spec.ref("Patterns"),
            "symbol",
            *_CHOICE,
            refusals=spec.STORES,
        ),
        "/api/outcomes/{symbol}": spec.get(
            f"What followed each pattern in the newest {CANDLES} candles of this instrument.",
            spec.ref("Outcomes"),
            "symbol timeframe",
            _HORIZON,
            refusals=spec.STORES,
        ),
    },
    {
        "Pattern": spec.object_of(
            {
                "id": spec.name("The same in every revision."),
                "symbol": spec.NAME,
                "timeframe": spec.NAME,
                "pattern_type": spec.NAME,
                "kind": {"enum": ["candlestick", "chart", "anomaly"]},
                "direction": {"enum": [-1, 0, 1], "description": "Down, neither, up."},
                "confidence": _FRACTION,
                "level": {"enum": ["low", "medium", "high"]},
                "trigger_price": spec.DECIMAL,
                "timestamp": spec.ms("When its last candle had ended, ms."),
                "begin": spec.ms("Start of its first candle, ms."),
                "features": {
                    "type": "object",
                    "description": "What the detector measured.",
                    "additionalProperties": {"type": "number"},
                },
                "candle_data": spec.object_of(
                    dict.fromkeys(("open", "high", "low", "close", "volume"), spec.DECIMAL)
                ),
                "source": spec.NAME,
                "status": {"enum": ["active", "retracted"]},
                "revision": spec.count("The highest wins."),
            }
        ),
        "Outcomes": spec.object_of(
            {
                "symbol": spec.NAME,
                "timeframe": spec.NAME,
                "horizon": spec.COUNT,
                "candles": spec.count("Closed candles that were looked at."),
                "outcomes": spec.list_of("Outcome"),
            }
        ),
        "Outcome": spec.object_of(
            {
                "pattern_type": spec.NAME,
                "direction": {"enum": [-1, 0, 1], "description": "Down, neither, up."},
                "count": spec.count("How often it was found."),
                "judged": spec.count("Of these, with `horizon` candles after it."),
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
        "Patterns": spec.object_of(
            {
                "symbol": spec.NAME,
                "patterns": spec.list_of("Pattern"),
                "next": spec.NEXT,
            }
        ),
    },
)


def handlers(outcomes: Outcomes) -> Handlers:
    """Return the handlers of the routes."""
    patterns, knows = outcomes.patterns, outcomes.pages.knows

    def every(request: Request) -> Response:
        rows, cursor = patterns.page(None, read_patterns(request.query_params))
        return as_json({"patterns": rows, "next": cursor})

    def page(request: Request) -> Response:
        symbol = request.path_params["symbol"]
        rows, cursor = patterns.page(symbol, read_patterns(request.query_params))
        if not rows and not knows(symbol):
            return unknown(symbol)
        return as_json({"symbol": symbol, "patterns": rows, "next": cursor})

    def after(request: Request) -> Response:
        symbol = request.path_params["symbol"]
        requested, horizon = read_outcomes(request.query_params, outcomes.pages.ladder)
        count, scores = outcomes.of(symbol, requested, horizon)
        if not count and not knows(symbol):
            return unknown(symbol)
        envelope = {"symbol": symbol, "timeframe": requested.timeframe.name, "horizon": horizon}
        return as_json({**envelope, "candles": count, "outcomes": scores})

    return {
        "/api/outcomes/{symbol}": after,
        "/api/patterns": every,
        "/api/patterns/{symbol}": page,
    }
