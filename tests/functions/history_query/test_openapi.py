"""The OpenAPI description is true for every route: parameters, responses, problems."""

from __future__ import annotations

import re
import time
from typing import Any

import jsonschema
import pytest
from starlette.routing import Route

from functions.history_query.api.openapi import DOCUMENT
from shared.alerts.event import AlertEvent, as_event_json
from shared.alerts.rule import Rule
from shared.alerts.stored_rules import add_rule
from shared.wire.feed_status import FeedState, FeedStatus, SymbolStatus
from shared.wire.patterns import as_event_json as pattern_json
from tests.functions.history_query.conftest import House
from tests.functions.history_query.drawn import pattern
from tests.functions.history_query.market import START_US, columns, generated

PATHS = sorted(path for path, item in DOCUMENT["paths"].items() if "get" in item)


def operation(path: str) -> dict[str, Any]:
    item: dict[str, Any] = DOCUMENT["paths"][path]["get"]
    return item


def check(schema: dict[str, Any], value: Any) -> None:
    full_schema = {**schema, "components": DOCUMENT["components"]}
    jsonschema.Draft202012Validator(full_schema).validate(value)


def fill(house: House, symbol: str = "A/B") -> None:
    """Store ticks of this hour, since the price history covers the last day, and much beside."""
    ago_us = time.time_ns() // 1000 - START_US - 3_600_000_000
    ticks = [
        tick._replace(source="u", price_scale=2, time_us=tick.time_us + ago_us)
        for tick in generated(1, 50, 3_000_000)
    ]
    house.take(columns(ticks, symbol))
    house.patterns.patterns([pattern(1), pattern(2, retracted=True), pattern(3)])
    event = pattern_json(pattern(0))["data"]
    for rule_id, text, values in (("r1", "close > 1", {"value": "2"}), ("r2", "pattern x", event)):
        body = as_event_json(rule_id, Rule.parse(f"{symbol} {text}"), 0, 60_000_000, **values)
        house.patterns.alert(AlertEvent.decode(body.encode()))
    with house.postgres.connection() as connection:
        add_rule(connection, Rule.parse(f"{symbol} close > 1"))
    status = SymbolStatus("AB", symbol, FeedState.LIVE, 1, 1, 1, 1)
    house.feeds.status(FeedStatus("binance", "s", time.time_ns() // 1000, 0, -5, "", (status,)))


@pytest.fixture(scope="module")
def filled(readable: House) -> House:
    """Tests only read what is stored."""
    fill(readable)
    return readable


def test_every_operation_has_a_tag_that_is_listed() -> None:
    """Each operation has a listed tag, by which `/docs` groups them."""
    listed = [tag["name"] for tag in DOCUMENT["tags"]]
    tags = [op["tags"] for item in DOCUMENT["paths"].values() for op in item.values()]
    assert {tag for (tag,) in tags} == set(listed)
    assert {"candles", "bars", "ticks", "alerts", "alert rules", "feeds"} < set(listed)


def test_exactly_the_routes_are_described(filled: House) -> None:
    """The described routes are exactly those of the app."""
    routes = {
        route.path.replace(":path", "") for route in filled.app.routes if isinstance(route, Route)
    }
    assert routes == set(DOCUMENT["paths"])


@pytest.mark.parametrize("path", PATHS)
def test_responses_match_their_schemas(filled: House, path: str) -> None:
    """A 200 has its media type, headers and exactly the described fields."""
    response = filled.get(path.format(symbol="A/B"))
    assert response.status_code == 200
    described = operation(path)["responses"]["200"]
    media_type = next(iter(described["content"]))
    assert response.headers["content-type"].startswith(media_type)
    if media_type == "application/json":
        value = response.json()
        assert value
        check(described["content"][media_type]["schema"], value)


@pytest.mark.parametrize("timeframe", ["1s", "1m", "2m"])
def test_candles_of_every_source_match_the_schema(filled: House, timeframe: str) -> None:
    """Stored candles, folds and candles made of ticks have one schema."""
    body = filled.get("/api/candles/A/B", timeframe=timeframe).json()
    assert body["candles"]
    path = "/api/candles/{symbol}"
    check(operation(path)["responses"]["200"]["content"]["application/json"]["schema"], body)


@pytest.mark.parametrize("path", [p for p in PATHS if "503" in operation(p)["responses"]])
def test_exactly_the_accepted_parameters_are_described(filled: House, path: str) -> None:
    """Each described parameter is accepted, and another one refused with a list of them."""
    described = {
        each["name"] for each in operation(path).get("parameters", []) if each["in"] == "query"
    }
    url = path.format(symbol="A/B")
    examples = {each["name"]: each["example"] for each in operation(path).get("parameters", [])}
    of_type = {"type": "tick:2"} if path.startswith("/api/bars") else {}
    if "cursor" in described:
        first = filled.get(url, limit="1", **of_type)
        link = re.search("cursor=([^&>]+)", first.headers.get("link", ""))
        examples["cursor"] = link[1] if link else first.json()["next"]
        assert examples["cursor"]
    for name in described:
        query = {**of_type, name: str(examples[name])}
        assert filled.get(url, **query).status_code == 200, name
    refused = filled.get(url, nonsense="1")
    assert refused.status_code == 400
    detail = refused.json()["detail"]
    assert detail.startswith("nonsense: no such parameter")
    names = set(re.findall(r"\w+", detail.partition("there are ")[2])) - {"none", "here"}
    assert names == described


def test_problems_match_their_schema(filled: House) -> None:
    """400, 404 and 405 are problem+json by its schema."""
    for answer, status in [
        (filled.get("/api/candles/A", timeframe="7x"), 400),
        (filled.get("/api/candles/NONE"), 404),
        (filled.get("/nothing"), 404),
    ]:
        assert answer.status_code == status
        assert answer.headers["content-type"] == "application/problem+json"
        check({"$ref": "#/components/schemas/Problem"}, answer.json())
