"""The reference of the API as Markdown, made from its description: docs/history-api.md.

`python -m functions.history_query.api.reference` writes it. `/docs` answers with it
where the page was not built.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from html import escape
from pathlib import Path
from typing import Final
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

from functions.history_query.api.openapi import DOCUMENT
from functions.history_query.api.openapi_schemas import Json
from shared.runtime.problem import page_headers

_SHOWN: Final = ("timeframe", "type", "limit", "symbols")
"""Parameters shown in a route's example."""
BUILT: Final = Path(__file__).parent / "docs_page"
"""Built by `make dashboard`; included in the image and the wheel."""
OPEN_PATHS: Final = ("/", "/docs", "/docs/", "/openapi.json")
"""What a browser loads before it can send a token: the page has a field for it (Authorize)."""


def reference() -> str:
    """Return the reference."""
    return "\n".join(_lines()) + "\n"


def main() -> None:
    """Command line."""
    sys.stdout.write(reference())


def _lines() -> Iterator[str]:
    yield "# History API"
    yield "Made by `make reference` from what `GET /openapi.json` says; `GET /docs` shows it as a"
    yield "page on which every request can be tried."
    yield ""
    yield DOCUMENT["info"]["description"]
    yield "`$API_URL` is what `kandle env` prints. A test runs every example."
    plain = {}
    for path, item in DOCUMENT["paths"].items():
        operation = item.get("get")
        if operation is None:
            continue
        if path.startswith(("/api", "/prices")):
            yield from _route(path, operation)
        else:
            plain[path] = operation["summary"]
    yield ""
    yield "## Changes"
    yield "Bodies are JSON (`content-type: application/json`)."
    yield ""
    yield "| route | what it does | body | answers |"
    yield "|---|---|---|---|"
    for path, item in DOCUMENT["paths"].items():
        for method, operation in item.items():
            if method != "get":
                yield _change(method, path, operation)
    yield ""
    yield "## Beside these"
    yield "| route | answer |"
    yield "|---|---|"
    yield from (f"| `GET {path}` | {summary} |" for path, summary in plain.items())
    yield ""
    yield "## Objects"
    yield "A field that is not always there is marked with ?."
    for name, schema in DOCUMENT["components"]["schemas"].items():
        yield from _object(name, schema)


def _route(path: str, operation: Json) -> Iterator[str]:
    parameters = operation.get("parameters", [])
    yield ""
    yield f"## GET {path}"
    yield operation["summary"]
    yield "```sh"
    yield f'curl "$API_URL{_example(path, parameters)}"'
    yield "```"
    if parameters:
        yield "| parameter | what it does | example |"
        yield "|---|---|---|"
    for each in parameters:
        description = each["description"] + _values(each["schema"])
        example = each["example"] if each["in"] == "path" else f"{each['name']}={each['example']}"
        yield f"| `{each['name']}` | {_cell(description)} | `{example}` |"
    if parameters:
        yield ""
    responses = operation["responses"]
    content = responses["200"]["content"]
    schema = next(iter(content.values()))["schema"]
    if "application/json" in content:
        schema = content["application/json"]["schema"]
    refusals = ", ".join(status for status in responses if status != "200")
    yield f"Answer: {_type(schema)}." + (f" Else: {refusals}." if refusals else "")


def _change(method: str, path: str, operation: Json) -> str:
    query = "&".join(
        f"{each['name']}={each['example']}" for each in operation.get("parameters", ())
    )
    route = f"{method.upper()} {path}" + (f"?{query}" if query else "")
    content = operation.get("requestBody", {}).get("content", {})
    fields = content["application/json"]["schema"]["properties"] if content else {}
    body = ", ".join(f"`{name}`: {_type(each)}" for name, each in fields.items())
    responses = []
    for status, answer in operation["responses"].items():
        schema = answer.get("content", {}).get("application/json", {}).get("schema")
        responses.append(f"{status} {_type(schema)}" if schema else status)
    return f"| `{route}` | {_cell(operation['summary'])} | {body} | {', '.join(responses)} |"


def _example(path: str, parameters: list[Json]) -> str:
    examples = [each for each in parameters if each["name"] in _SHOWN]
    for each in parameters:
        if each["in"] == "path":
            path = path.replace(f"{{{each['name']}}}", quote(each["example"]))
    query = "&".join(
        f"{each['name']}={quote(str(each['example']), safe=',:')}" for each in examples
    )
    return f"{path}?{query}" if query else path


def _values(schema: Json) -> str:
    text = ""
    if "enum" in schema:
        text += " One of " + ", ".join(f"`{each}`" for each in schema["enum"]) + "."
    if "default" in schema:
        text += f" Default: `{schema['default']}`."
    return text


def _object(name: str, schema: Json) -> Iterator[str]:
    yield ""
    yield f"### {name}"
    yield "| field | type | what it is |"
    yield "|---|---|---|"
    required = schema.get("required", [])
    for field, each in schema["properties"].items():
        description = each.get("description", "") + _values(each)
        mark = "" if field in required else "?"
        yield f"| `{field}`{mark} | {_type(each)} | {_cell(description)} |"


def _type(schema: Json) -> str:
    """Name a type, with a link to the object it is."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    if "anyOf" in schema:
        return " or ".join(_type(each) for each in schema["anyOf"])
    if "enum" in schema:
        return "string"
    kind = schema.get("type", "any")
    if kind == "array":
        return f"array of {_type(schema['items'])}"
    if schema.get("pattern", "").startswith("^-?[0-9]"):
        return "decimal" if kind == "string" else "decimal or null"
    return kind if isinstance(kind, str) else " or ".join(kind)


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


if __name__ == "__main__":
    main()


def page_routes() -> list[BaseRoute]:
    """Return GET /docs, GET / and the page's files; plain text if the page was not built."""

    async def page(request: Request) -> Response:
        file = BUILT / "index.html"
        text = file.read_text() if file.is_file() else f"<pre>{escape(reference())}</pre>"
        return HTMLResponse(text, headers=page_headers())

    files = [Mount("/docs", StaticFiles(directory=BUILT))] if BUILT.is_dir() else []
    return [Route("/", page), Route("/docs", page), *files]
