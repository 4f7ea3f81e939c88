"""OpenAPI building blocks for the topics' routes."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from textwrap import dedent
from typing import Any, Final

from functions.history_query.api.formats import MEDIA_TYPES

Json = dict[str, Any]

DECIMAL: Final = r"^-?[0-9]+(\.[0-9]+)?$"
KINDS: Final[Json] = {
    "ms": {"type": "integer", "description": "Milliseconds since 1970, UTC."},
    "decimal": {"type": "string", "pattern": DECIMAL},
    "exact": {"type": "number", "description": "The exact decimal, as a JSON number."},
    "number": {"type": "number"},
    "string": {"type": "string"},
    "count": {"type": "integer", "minimum": 0},
    "integer": {"type": "integer"},
    "boolean": {"type": "boolean"},
    "null": {"type": "null"},
    "cursor": {
        "type": ["string", "null"],
        "description": "Cursor of the page of older ones; null: there are none.",
    },
}
"""Types of the fields in a table of schemas."""
_LITERALS: Final = {"null": None, "-1": -1, "0": 0, "1": 1}


def query(name: str, description: str, schema: Json, example: str | int | float) -> Json:
    """Describe a query parameter."""
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


def object_of(properties: Json, required: Sequence[str] | None = None) -> Json:
    """Describe an object with exactly these properties, all required by default."""
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties if required is None else required),
        "additionalProperties": False,
    }


def schemas(table: str, **types: Json) -> Json:
    """Return the schemas of a table: under each name its fields, with type and description.

    `?` after a field: it may be absent; after a schema's name: each of its fields may. Types are
    those of KINDS and of `types`, names of schemas, `[item]`, `{value}` and `one|other`; `?` after
    one: or null. `=Name`: as the same field of that schema. A deeper line continues a description.
    """
    result: Json = {}
    for part in re.split(r"\n(?=\w)", _joined(table)):
        name, *lines = part.splitlines()
        properties: Json = {}
        required = []
        for line in lines:
            fields, type_, *description = line.split(None, 2)
            for each in fields.split(","):
                field_name = each.rstrip("?")
                if type_.startswith("="):
                    schema = {**types, **result}[type_[1:]]["properties"][field_name]
                else:
                    schema = _typed(type_, types)
                described = {"description": description[0]} if description else {}
                properties[field_name] = {**schema, **described}
                if not (name + each).count("?"):
                    required.append(field_name)
        result[name.rstrip("?")] = object_of(properties, required)
    return result


def queries(table: str, **types: Json) -> Json:
    """Return the query parameters of a table by name; columns: name, example, type, description.

    Tests request the example; the docs show it.
    """
    result: Json = {}
    for line in _joined(table).splitlines():
        name, example, type_, description = line.split(None, 3)
        schema = _typed(type_, types)
        is_number = schema.get("type") in ("integer", "number")
        result[name] = query(
            name, description, schema, json.loads(example) if is_number else example
        )
    return result


def _joined(table: str) -> str:
    """Return the table with each description in its line."""
    return re.sub(r"\n {4,}", " ", dedent(table)).strip()


def _typed(type_: str, types: Json) -> Json:
    """Return the schema of a type in a table."""
    kinds: dict[str, Json] = KINDS | types
    if type_ in kinds:
        return kinds[type_]
    if type_.endswith("?"):
        kind = kinds[type_[:-1]]
        return {**kind, "type": [kind["type"], "null"]}
    if type_.startswith("["):
        return {"type": "array", "items": _typed(type_[1:-1], types)}
    if type_.startswith("{"):
        return {"type": "object", "additionalProperties": _typed(type_[1:-1], types)}
    first, *others = type_.split("|")
    if not others:
        return ref(type_)
    if first in kinds or first.istitle():
        return {"anyOf": [_typed(each, types) for each in (first, *others)]}
    return {"enum": [_LITERALS.get(each, each) for each in (first, *others)]}


def get(
    summary: str,
    answer: Json | str,
    *parameters: Json | str,
    own: Json | None = None,
    refusals: tuple[int, ...] | None = None,
    headers: Json | None = None,
    media_type: str = "application/json",
) -> Json:
    """Describe a GET and its responses. `answer`: a schema, or a type as in a table of schemas.

    A string among the parameters names some of `own`, the topic's, or of those of several routes.
    Without `refusals` they are those of every route over the stores; a route with formats has the
    headers of a page.
    """
    schema = _typed(answer, {}) if isinstance(answer, str) else answer
    described: list[Json] = []
    for parameter in parameters:
        described += (
            [(_SHARED | (own or {}))[name] for name in parameter.split()]
            if isinstance(parameter, str)
            else [parameter]
        )
    if refusals is None:
        refusals = _OF_ONE if any(each["in"] == "path" for each in described) else _OF_ALL
    bodies = content(schema, media_type)
    for each in described:
        if each["name"] == "format":
            bodies, headers = _forms(schema, each["schema"]["enum"]), _PAGE_HEADERS
    responses: Json = {"200": {"description": "OK", "content": bodies}}
    if headers:
        responses["200"]["headers"] = headers
        if "ETag" in headers:
            responses["304"] = {"description": "Not modified since the ETag in If-None-Match."}
    responses |= problems({status: REFUSALS[status] for status in refusals})
    operation: Json = {"summary": summary, "responses": responses}
    if described:
        operation["parameters"] = described
    return {"get": operation}


def content(schema: Json, media_type: str = "application/json") -> Json:
    """Describe a body of one media type."""
    return {media_type: {"schema": schema}}


def problems(refusals: Mapping[int, str]) -> Json:
    """Describe the responses of refusals, by their status."""
    body = content(ref("Problem"), "application/problem+json")
    return {
        str(status): {"description": description, "content": body}
        for status, description in refusals.items()
    }


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


REFUSALS: Final = {
    400: "Invalid parameter; `detail` names it and the fix.",
    404: "Unknown instrument: no tick of it was ever received.",
    503: "A store is unavailable; retry.",
}
_OF_ONE: Final = (400, 404, 503)
_OF_ALL: Final = (400, 503)

STREAMED_LIMIT: Final = streamed_limit("ndjson or csv")
_SYMBOL: Final[Json] = {
    "name": "symbol",
    "in": "path",
    "required": True,
    "description": "Instrument as its sender writes it; it may contain slashes: `XRP/ETH`.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 64},
    "example": "BTC-USD",
}
_SHARED: Final = queries(
    """
    from       2026-11-21T14:30:00Z  string  The earliest time. Milliseconds since 1970, ISO 8601
        (UTC without an offset), or a time ago such as `-24h`.
    to         -1m  string  The end, exclusive. Milliseconds since 1970, ISO 8601 (UTC without an
        offset), or a time ago such as `-24h`.
    tz         Asia/Kolkata  zone  Time zone, such as Asia/Kolkata: `time` is the local time of each
        row, `from` and `to` without an offset are local, and candles of days, weeks and months
        follow it.
    session    09:15@Asia/Kolkata  session  Start of the trading day, such as 09:15@Asia/Kolkata or
        17:00@America/New_York: candles are aligned to it, and the last of a day may be shorter.
        With an end, as in 09:30-16:00@America/New_York, only trades within the session count. A day
        that starts in the afternoon has the next date.
    calendar   XNYS  code  Exchange by its code, such as XNYS: only trades within its sessions
        count, with its weekends, holidays and half days.
    timeframe  1m  timeframe  A stored timeframe (by default the base); any multiple of the base up
        to 1w, and 1M, 3M, 1y, folded from shorter candles; or other whole seconds up to 1h,
        computed from ticks. Trading days may follow an @, as in channels of the live feed:
        1d@America/New_York, 4h@1700@America/New_York, 1w@XNYS.
    columns    t  string  Columns to return, in this order, separated by commas.
    cursor     x  string  Cursor from the previous page.
    """,
    zone={"type": "string", "maxLength": 64},
    session={"type": "string", "maxLength": 80},
    code={"type": "string", "maxLength": 32},
    timeframe={
        "type": "string",
        "pattern": "^([1-9][0-9]{0,3}[smhdw]|1M|3M|1y)(@.+)?$",
        "examples": ["1s", "1m", "2h", "1w@XNYS"],
    },
) | {"symbol": _SYMBOL}
"""Parameters of several routes, by name."""

_PAGE_HEADERS: Final[Json] = {
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
    return {**_SHARED["cursor"], "example": example}


def columns_of(example: str) -> Json:
    """Describe the parameter `columns`."""
    return {**_SHARED["columns"], "example": example}


def format_of(names: Sequence[str]) -> Json:
    """Describe the parameter `format`."""
    return query(
        "format",
        "Response format; by default the one in the Accept header. Formats other than json have"
        " the cursor in the headers only.",
        {"type": "string", "enum": list(names), "default": "json"},
        "csv",
    )
