"""OpenAPI building blocks for the topics' routes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from functions.history_query.api.formats import MEDIA_TYPES

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Part:
    """A topic's share of the description: operations by path, schemas by name."""

    paths: Json
    schemas: Json = field(default_factory=dict)


def query(name: str, description: str, schema: Json, example: str | int | float) -> Json:
    """Describe a query parameter. Tests request the example; the docs show it."""
    parameter = {"name": name, "in": "query", "description": description}
    return {**parameter, "schema": schema, "example": example}


def limit(default: int) -> Json:
    """Describe the parameter `limit`."""
    schema = {"type": "integer", "minimum": 1, "maximum": 10_000, "default": default}
    return query("limit", "Maximum number of rows.", schema, 3)


def streamed_limit(formats: str) -> Json:
    """Describe the parameter `limit` of a route that streams whole ranges in these formats."""
    return query(
        "limit",
        f"Maximum number of rows. `all`, with `from` and format={formats}: the whole range,"
        " streamed.",
        {"anyOf": [limit(1_000)["schema"], {"const": "all"}]},
        3,
    )


def ref(name: str) -> Json:
    """Refer to a schema of any topic."""
    return {"$ref": f"#/components/schemas/{name}"}


def list_of(name: str, description: str = "") -> Json:
    """Describe an array of another schema."""
    return {"type": "array", "items": ref(name), **_description(description)}


def object_of(properties: Json, **options: Any) -> Json:
    """Describe an object with exactly these properties, all required."""
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
        **options,
    }


def get(
    summary: str,
    schema: Json,
    *parameters: Json | str,
    refusals: tuple[int, ...] = (),
    headers: Json | None = None,
    media_type: str = "application/json",
) -> Json:
    """Describe a GET and its responses. A string among the parameters names some of SHARED."""
    described: list[Json] = []
    for parameter in parameters:
        described += (
            [SHARED[name] for name in parameter.split()]
            if isinstance(parameter, str)
            else [parameter]
        )
    descriptions = {
        400: "Invalid parameter; `detail` names it and the fix.",
        404: "Unknown instrument: no tick of it was ever received.",
        503: "A store is unavailable; retry.",
    }
    content = {media_type: {"schema": schema}}
    for each in described:
        if each["name"] == "format":
            content = _forms(schema, each["schema"]["enum"])
    responses: Json = {"200": {"description": "OK", "content": content}}
    if headers:
        responses["200"]["headers"] = headers
        if "ETag" in headers:
            responses["304"] = {"description": "Not modified since the ETag in If-None-Match."}
    for status in refusals:
        responses[str(status)] = {
            "description": descriptions[status],
            "content": {"application/problem+json": {"schema": ref("Problem")}},
        }
    operation: Json = {"summary": summary, "responses": responses}
    if described:
        operation["parameters"] = described
    return {"get": operation}


def _forms(schema: Json, names: Sequence[str]) -> Json:
    """Describe the bodies of each format."""
    content: Json = {}
    for name in names:
        binary = name in ("parquet", "arrow")
        body_schema: Json = {"type": "string", **({"contentEncoding": "binary"} if binary else {})}
        content[MEDIA_TYPES[name].partition(";")[0]] = {"schema": body_schema}
    charts = {"type": "array", "items": {"type": "object", "required": ["time"]}}
    takes_charts = "lightweight-charts" in names
    content["application/json"] = {
        "schema": {"anyOf": [schema, charts]} if takes_charts else schema
    }
    return content


STORES: Final = (400, 404, 503)
"""Error statuses of a route about one instrument."""

_TIME: Final = (
    "Milliseconds since 1970, ISO 8601 (UTC without an offset), or a time ago such as `-24h`."
)

STREAMED_LIMIT: Final = streamed_limit("ndjson or csv")
_SYMBOL: Final[Json] = {
    "name": "symbol",
    "in": "path",
    "required": True,
    "description": "Instrument as its sender writes it; it may contain slashes: `XRP/ETH`.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 64},
    "example": "BTC-USD",
}
_QUERY: Final = (
    query("from", f"The earliest time. {_TIME}", {"type": "string"}, "2026-11-21T14:30:00Z"),
    query("to", f"The end, exclusive. {_TIME}", {"type": "string"}, "-1m"),
    query(
        "tz",
        "Time zone, such as Asia/Kolkata: `time` is the local time of each row, `from` and `to`"
        " without an offset are local, and candles of days, weeks and months follow it.",
        {"type": "string", "maxLength": 64},
        "Asia/Kolkata",
    ),
    query(
        "session",
        "Start of the trading day, such as 09:15@Asia/Kolkata or 17:00@America/New_York: candles"
        " are aligned to it, and the last of a day may be shorter. With an end, as in"
        " 09:30-16:00@America/New_York, only trades within the session count. A day that starts in"
        " the afternoon has the next date.",
        {"type": "string", "maxLength": 80},
        "09:15@Asia/Kolkata",
    ),
    query(
        "calendar",
        "Exchange by its code, such as XNYS: only trades within its sessions count, with its"
        " weekends, holidays and half days.",
        {"type": "string", "maxLength": 32},
        "XNYS",
    ),
    query(
        "timeframe",
        "A stored timeframe (by default the base); any multiple of the base up to 1w, and 1M, 3M,"
        " 1y, folded from shorter candles; or other whole seconds up to 1h, computed from ticks."
        " Trading days may follow an @, as in channels of the live feed: 1d@America/New_York,"
        " 4h@1700@America/New_York, 1w@XNYS.",
        {
            "type": "string",
            "pattern": "^([1-9][0-9]{0,3}[smhdw]|1M|3M|1y)(@.+)?$",
            "examples": ["1s", "1m", "2h", "1w@XNYS"],
        },
        "1m",
    ),
)
SHARED: Final = {each["name"]: each for each in (_SYMBOL, *_QUERY)}
"""Parameters of several routes, by name."""

NEXT: Final[Json] = {
    "type": ["string", "null"],
    "description": "Cursor of the page of older ones; null: there are none.",
}
PAGE_HEADERS: Final[Json] = {
    "X-Kandle-Next": {"description": "The cursor of the next page.", "schema": {"type": "string"}},
    "Link": {"description": 'The next page, with `rel="next"`.', "schema": {"type": "string"}},
    "ETag": {"description": "Validator for If-None-Match.", "schema": {"type": "string"}},
    "Cache-Control": {
        "description": "`private, no-cache`: revalidate with If-None-Match.",
        "schema": {"type": "string"},
    },
}


def cursor_of(example: str) -> Json:
    """Describe the parameter `cursor`."""
    description = "Cursor from the previous page."
    return query("cursor", description, {"type": "string"}, example)


def columns_of(example: str) -> Json:
    """Describe the parameter `columns`."""
    description = "Columns to return, in this order, separated by commas."
    return query("columns", description, {"type": "string"}, example)


def format_of(names: Sequence[str]) -> Json:
    """Describe the parameter `format`."""
    return query(
        "format",
        "Response format; by default the one in the Accept header. Formats other than json have"
        " the cursor in the headers only.",
        {"type": "string", "enum": list(names), "default": "json"},
        "csv",
    )


class Kind(dict[str, Any]):
    """A schema; called with the description of a value, that value's, perhaps or null."""

    def __call__(self, description: str, *, null: bool = False) -> Json:
        """Describe a value."""
        kind = [self["type"], "null"] if null else self["type"]
        return {**self, "type": kind, "description": description}


MS: Final = Kind(type="integer", description="Milliseconds since 1970, UTC.")
DECIMAL: Final = Kind(type="string", pattern=r"^-?[0-9]+(\.[0-9]+)?$")
EXACT_NUMBER: Final = Kind(type="number", description="The exact decimal, as a JSON number.")
NUMBER: Final = Kind(type="number")
NAME: Final = Kind(type="string")
COUNT: Final = Kind(type="integer", minimum=0)
INTEGER: Final = Kind(type="integer")
BOOLEAN: Final = Kind(type="boolean")


def _description(description: str) -> Json:
    return {"description": description} if description else {}
