"""The API tested by its own description, over a real socket and real stores, hot and cold."""

from __future__ import annotations

import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest
import redis
import uvicorn
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.functions.history_query.cold import cold_market

# Every worker imports every test; this package takes a second of CPU.
if TYPE_CHECKING:
    from schemathesis import Case
    from schemathesis.specs.openapi.schemas import OpenApiSchema

    Api = tuple[OpenApiSchema, str]

EXAMPLES = 15
LONGEST_LIST = 20
SPOKEN = (
    *("timeframe", "from", "to", "as_of", "anchor", "cursor", "indicators", "session", "calendar"),
    *("tz", "columns", "type"),
)
PLAIN = {"get": 200, "post": 201, "patch": 404, "delete": 404}
TEST_PATH = "/api/alert-rules/test"


@pytest.fixture
def api(servers: dict[str, str], database: str, valkey: redis.Redis) -> Iterator[Api]:
    """The description that a running server serves."""
    from schemathesis.openapi.loaders import from_url

    with cold_market(servers, database, valkey, 200) as market, socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        server = uvicorn.Server(uvicorn.Config(market.house.app, log_level="warning"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        while not server.started:
            time.sleep(0.01)
        port = listener.getsockname()[1]
        yield from_url(f"http://127.0.0.1:{port}/openapi.json"), market.symbol
        server.should_exit = True
        thread.join()


def test_no_request_valid_or_invalid_fails(api: Api) -> None:
    """Any request gets a described status, media type and body, and never a 5xx."""
    from schemathesis import GenerationMode, checks
    from schemathesis.core.result import Ok
    from schemathesis.specs.openapi import checks as openapi

    conditions = [
        checks.not_a_server_error,
        openapi.status_code_conformance,
        openapi.content_type_conformance,
        openapi.response_schema_conformance,
    ]
    schema, symbol = api
    asked: Counter[tuple[str, int]] = Counter()
    for found in schema.get_all_operations():
        assert isinstance(found, Ok)
        operation = found.ok()
        described = schema.raw_schema["paths"][operation.path][operation.method]
        parameters = described.get("parameters", [])
        needed = {
            place: {
                each["name"]: symbol if each["name"] == "symbol" else each["example"]
                for each in parameters
                if each["in"] == place and each.get("required")
            }
            for place in ("path", "query")
        }
        takes_body = "requestBody" in described
        plain = operation.Case(path_parameters=needed["path"], query=needed["query"])
        if takes_body:
            plain.body, plain.media_type = {"rule": "A close > 1"}, "application/json"
        answer = plain.call_and_validate(checks=conditions)
        expected = 200 if operation.path == TEST_PATH else PLAIN[operation.method]
        assert answer.status_code == expected, operation.path
        takes_any = bool(parameters) or takes_body
        modes = (GenerationMode.POSITIVE, GenerationMode.NEGATIVE)
        for mode in modes if takes_any else modes[:1]:

            @settings(max_examples=EXAMPLES, database=None, suppress_health_check=list(HealthCheck))
            @given(
                case=operation.as_strategy(generation_mode=mode),
                is_known=st.booleans(),
                is_plain=st.booleans(),
            )
            def ask(case: Case[Any], *, is_known: bool, is_plain: bool) -> None:
                if is_known and "symbol" in case.path_parameters:
                    case.path_parameters["symbol"] = symbol
                if is_plain:  # a generated text is hardly ever one of these
                    case.query = {k: v for k, v in case.query.items() if k not in SPOKEN}
                names = case.query.get("symbol")
                if isinstance(names, list):  # the HTTP server itself refuses longer request lines
                    case.query["symbol"] = names[:LONGEST_LIST]
                answer = case.call_and_validate(checks=conditions)
                asked[case.operation.path, answer.status_code] += 1

            ask()
    assert {path for path, _ in asked} | {"/openapi.json"} == set(schema.raw_schema["paths"])
    assert max(status for _, status in asked) < 500
