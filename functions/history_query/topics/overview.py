"""GET /api/overview: the market at a glance, for lists and cards."""

from __future__ import annotations

import threading
import time
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from functions.history_query.api import openapi_schemas as spec
from functions.history_query.api.endpoints import MAX_SYMBOL_CHARACTERS, Handlers, as_json
from functions.history_query.api.parameters import ParameterError, now_us, read_days
from functions.history_query.queries.overview import Overview

MAX_SYMBOLS: Final = 500
ALL: Final = "all"
_FRESH_S: Final = 1.0
_REST: Final = 4
"""The overview of all instruments is cached for _FRESH_S, or _REST times as long as it took to
compute, if that is longer; so it uses at most a fifth of a core."""

_SYMBOLS: Final = spec.query(
    "symbols",
    f"Symbols separated by commas, at most {MAX_SYMBOLS}, or `all`.",
    {"type": "string", "default": ALL},
    "BTC-USD,ETH-USD",
)
_SYMBOL: Final = spec.query(
    "symbol",
    "A symbol; repeat the parameter for several. For symbols that contain a comma.",
    {"type": "array", "items": {"type": "string"}, "maxItems": MAX_SYMBOLS},
    "BTC-USD",
)


def _or_none(schema: spec.Json, description: str) -> spec.Json:
    return {"anyOf": [schema, {"type": "null"}], "description": description}


PART: Final = spec.Part(
    {
        "/api/overview": spec.get(
            "Each instrument's last trade, its last 24 hours and its newest candle.",
            spec.list_of("Overview"),
            _SYMBOLS,
            _SYMBOL,
            "session calendar tz",
            refusals=(400, 503),
        ),
    },
    {
        "Overview": spec.object_of(
            {
                "symbol": spec.NAME,
                "price": spec.DECIMAL,
                "size": spec.DECIMAL,
                "t": spec.MS("Time of the trade, ms since 1970."),
                "received": spec.MS("When a trade last reached the candles."),
                "open": _or_none(spec.DECIMAL, "Price 24 hours ago; null without trades since."),
                "session_open": _or_none(
                    spec.DECIMAL, "First price of the UTC day, or of the current session."
                ),
                "high": _or_none(spec.DECIMAL, "Highest price since then."),
                "low": _or_none(spec.DECIMAL, "Lowest price since then."),
                "volume": spec.DECIMAL("Volume since then."),
                "change": _or_none({"type": "number"}, "Change against `open` in percent."),
                "spread": _or_none(spec.DECIMAL, "Ask minus bid of the latest quote."),
                "points": {
                    "type": "array",
                    "items": spec.DECIMAL,
                    "description": "Closes of the hours since then (or of the longest stored"
                    " timeframe up to one hour), ascending.",
                },
                "candle": _or_none(
                    spec.ref("Candle"), "The newest base candle; null if it is long past."
                ),
            }
        ),
    },
)


def handlers(overview: Overview) -> Handlers:
    """Return the handler of the route."""
    lock = threading.Lock()
    cached: tuple[float, Response] | None = None

    def answer(request: Request) -> Response:
        nonlocal cached
        symbols = _symbols(request)
        days = read_days(request.query_params)
        if symbols is not None or days is not None:
            return as_json(overview.of(symbols, now_us(), days))
        with lock:
            started_s = time.monotonic()
            if cached is None or started_s > cached[0]:
                body = as_json(overview.of(None, now_us()))
                took_s = time.monotonic() - started_s
                cached = started_s + took_s + max(_FRESH_S, _REST * took_s), body
            return Response(cached[1].body, media_type="application/json")

    return {"/api/overview": answer}


def _symbols(request: Request) -> list[str] | None:
    """Return the requested symbols; None: all. Raises ParameterError."""
    text = request.query_params.get("symbols")
    repeated = request.query_params.getlist("symbol")
    if (text is None and not repeated) or (text == ALL and not repeated):
        return None
    symbols = [*dict.fromkeys([*filter(None, (text or "").split(",")), *repeated])]
    if not symbols or len(symbols) > MAX_SYMBOLS:
        raise ParameterError(f"symbols: 1 to {MAX_SYMBOLS} of them, or `all`")
    for each in symbols:
        if not 1 <= len(each) <= MAX_SYMBOL_CHARACTERS or not each.isprintable():
            raise ParameterError(f"symbols: each has 1 to {MAX_SYMBOL_CHARACTERS} characters")
    return symbols
