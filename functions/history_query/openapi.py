"""The history API described in OpenAPI 3.1, for people and for programs that make clients."""

from __future__ import annotations

from typing import Any, Final

Json = dict[str, Any]

_TIME = "Milliseconds since 1970, ISO 8601 (UTC without an offset), or a time ago such as `-24h`."


def _query(name: str, description: str, schema: Json) -> Json:
    return {"name": name, "in": "query", "description": description, "schema": schema}


def _limit(default: int) -> Json:
    schema = {"type": "integer", "minimum": 1, "maximum": 10_000, "default": default}
    return _query("limit", "The most to return.", schema)


def _ref(name: str) -> Json:
    return {"$ref": f"#/components/schemas/{name}"}


def _list_of(name: str) -> Json:
    return {"type": "array", "items": _ref(name)}


def _object(properties: Json, **more: Any) -> Json:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
        **more,
    }


def _get(
    summary: str,
    schema: Json,
    *parameters: Json,
    refusals: tuple[int, ...] = (),
    headers: Json | None = None,
    media_type: str = "application/json",
) -> Json:
    told = {
        400: "A bad parameter; `detail` names it and the fix.",
        404: "No tick of this instrument was ever seen.",
        503: "A store is away; ask again.",
    }
    responses: Json = {"200": {"description": "OK", "content": {media_type: {"schema": schema}}}}
    if headers:
        responses["200"]["headers"] = headers
    for status in refusals:
        responses[str(status)] = {
            "description": told[status],
            "content": {"application/problem+json": {"schema": _ref("Problem")}},
        }
    operation: Json = {"summary": summary, "responses": responses}
    if parameters:
        operation["parameters"] = list(parameters)
    return {"get": operation}


_SYMBOL: Final[Json] = {
    "name": "symbol",
    "in": "path",
    "required": True,
    "description": "The instrument as its sender writes it; it may hold slashes: `XRP/ETH`.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 64},
}
_FROM: Final = _query("from", f"The earliest time. {_TIME}", {"type": "string"})
_TO: Final = _query("to", f"The end, exclusive. {_TIME}", {"type": "string"})
_CURSOR: Final = _query("cursor", "Where the page before ended, as it says.", {"type": "string"})
_TIMEFRAME: Final = _query(
    "timeframe",
    "A kept timeframe (by default the base), any multiple of the base up to 7d, made from shorter"
    " candles, or other whole seconds up to 1h, made from ticks.",
    {"type": "string", "pattern": "^[1-9][0-9]{0,3}[smhd]$", "examples": ["1s", "1m", "2h"]},
)
_PRICE_HEADERS: Final[Json] = {
    "X-Kandle-Limit": {"description": "The limit that was used.", "schema": {"type": "integer"}},
    "X-Kandle-Truncated": {
        "description": "There are older ones in the range: see Link.",
        "schema": {"const": "true"},
    },
    "Link": {
        "description": 'The next page, of older ones, with `rel="next"`.',
        "schema": {"type": "string"},
    },
}
_STORES: Final = (400, 404, 503)

_MS: Final[Json] = {"type": "integer", "description": "Milliseconds since 1970, UTC."}
_DECIMAL: Final[Json] = {"type": "string", "pattern": r"^-?[0-9]+(\.[0-9]+)?$"}
_NUMBER: Final[Json] = {"type": "number", "description": "The exact decimal, as a JSON number."}
_NAME: Final[Json] = {"type": "string"}
_COUNT: Final[Json] = {"type": "integer", "minimum": 0}

_SCHEMAS: Final[Json] = {
    "Candle": _object(
        {
            "t": {**_MS, "description": "Start of the interval, ms since 1970 UTC."},
            **dict.fromkeys(("o", "h", "l", "c"), _DECIMAL),
            "v": {**_DECIMAL, "description": "Volume."},
            "vw": {
                "type": ["string", "null"],
                "description": "Volume-weighted average price, 20 digits; null without volume.",
            },
            "n": {**_COUNT, "description": "Trades."},
            "bv": {**_DECIMAL, "description": "Volume of trades whose aggressor bought."},
            "sv": {**_DECIMAL, "description": "Volume of trades whose aggressor sold."},
            "closed": {"type": "boolean", "description": "Only a late trade may still change it."},
            "partial": {"type": "boolean", "description": "It began before the first tick seen."},
            "complete": {"type": "boolean", "description": "It touches no known gap of its feed."},
            "revision": {
                **_COUNT,
                "description": "The highest wins; of its parts where it is made of shorter candles;"
                " 0 where it is made of ticks.",
            },
        }
    ),
    "Candles": _object(
        {
            "symbol": _NAME,
            "timeframe": _NAME,
            "candles": {**_list_of("Candle"), "description": "Ascending by time."},
            "next": {
                "type": ["string", "null"],
                "description": "The cursor of the next page: later candles if the request has"
                " `from`, else earlier ones. Null: there are no more. A page may hold fewer than"
                " `limit` and still have one.",
            },
        }
    ),
    "Tick": _object({"t": _MS, "p": _NUMBER}),
    "Price": _object({"symbol": _NAME, "price": _NUMBER, "t": _MS}),
    "PastPrice": _object({"t": _MS, "price": _NUMBER}),
    "Trade": _object(
        {
            "symbol": _NAME,
            "price": _DECIMAL,
            "size": _DECIMAL,
            "t": _MS,
            "received": {**_MS, "description": "When it last received anything, ms since 1970."},
        }
    ),
    "Symbol": _object({"symbol": _NAME, "first": _MS, "last": _MS, "n": _COUNT}),
    "Problem": _object({"title": _NAME, "status": {"type": "integer"}, "detail": _NAME}),
}

DOCUMENT: Final[Json] = {
    "openapi": "3.1.0",
    "info": {
        "title": "Kandle history",
        "version": "1",
        "description": "Exact candles and prices, over what is live and what is stored. Every"
        " error is application/problem+json and names the parameter and the fix.",
    },
    "servers": [{"url": "/"}],
    "paths": {
        "/api/candles/{symbol}": _get(
            "Candles of an instrument, ascending; without `from` the newest.",
            _ref("Candles"),
            *(_SYMBOL, _TIMEFRAME, _FROM, _TO, _limit(1_000), _CURSOR),
            refusals=_STORES,
        ),
        "/api/history/{symbol}": _get(
            "The newest prices of the last 24 hours, or of a range, ascending by time.",
            _list_of("Tick"),
            *(_SYMBOL, _FROM, _TO, _limit(10_000), _CURSOR),
            refusals=_STORES,
            headers=_PRICE_HEADERS,
        ),
        "/api/latest": _get(
            "The latest trade of every instrument.", _list_of("Trade"), refusals=(400, 503)
        ),
        "/api/latest/{symbol}": _get(
            "The latest trade of an instrument.", _ref("Trade"), _SYMBOL, refusals=_STORES
        ),
        "/api/symbols": _get(
            "All instruments, with the times of their first and last trade and their number.",
            _list_of("Symbol"),
            refusals=(400, 503),
        ),
        "/prices/{symbol}": _get(
            "The latest price of an instrument.", _ref("Price"), _SYMBOL, refusals=_STORES
        ),
        "/prices/{symbol}/history": _get(
            "The newest prices of an instrument, newest first.",
            _list_of("PastPrice"),
            *(_SYMBOL, _FROM, _TO, _limit(100), _CURSOR),
            refusals=_STORES,
            headers=_PRICE_HEADERS,
        ),
        "/openapi.json": _get("This description.", {"type": "object"}),
        **{
            path: _get(summary, {"type": "string"}, media_type="text/plain")
            for path, summary in {
                "/health": "The process lives.",
                "/health/liveness": "The process lives.",
                "/health/readiness": "The stores can be reached; 503 while not.",
                "/ready": "The stores can be reached; 503 while not.",
                "/startup": "The stores can be reached; 503 while not.",
                "/metrics": "Prometheus metrics.",
            }.items()
        },
    },
    "components": {"schemas": _SCHEMAS},
}
