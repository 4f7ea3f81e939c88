"""Rules of alerts over HTTP: listed, added, removed; what is no rule says why."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette

from functions.history_query.topics import alert_rules
from shared.alerts.rule import Rule
from shared.alerts.stored_rules import add_rule
from tests.functions.history_query.conftest import House

PATH = "/api/alert-rules"


def asked(app: Starlette, method: str, **what: Any) -> httpx.Response:
    async def ask() -> httpx.Response:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://api") as client:
            return await client.request(method, PATH, **what)

    return asyncio.run(ask())


def test_a_rule_is_added_listed_and_removed(house: House) -> None:
    """In its whole form; a sink, which may hold a token, is not told."""
    added = asked(house.app, "POST", json={"rule": "BTC-USD close>75000"})
    assert added.status_code == 201
    told = added.json()
    assert (told["rule"], told["note"]) == ("BTC-USD close > 75000 on 1m", None)
    with house.postgres.connection() as connection:
        add_rule(connection, Rule.parse("A close > 1"), "https://example.org/secret")
    first, second = house.get(PATH).json()
    assert (first["id"], first["rule"], first["posted"]) == (told["id"], told["rule"], False)
    assert (second["posted"], "secret" in str(second)) == (True, False)
    assert asked(house.app, "DELETE", params={"id": told["id"]}).status_code == 204
    assert asked(house.app, "DELETE", params={"id": told["id"]}).status_code == 404
    assert [each["id"] for each in house.get(PATH).json()] == [second["id"]]


@pytest.mark.parametrize(
    ("what", "status", "said"),
    [
        ({"json": {"rule": "BTC-USD close >"}}, 400, "expected a field"),
        ({"json": {"rule": "A close > 1", "sink": "http://x"}}, 400, "sink"),
        ({"json": {}}, 400, "rule"),
        ({"content": b"{", "headers": {"content-type": "application/json"}}, 400, "truncated"),
        ({"content": b"{}", "headers": {"content-type": "text/plain"}}, 415, "application/json"),
        ({"data": {"rule": "A close > 1"}}, 415, "application/json"),
        ({"json": {"rule": "A" * 5_000}}, 413, "4096"),
    ],
)
def test_what_is_no_rule_is_refused(house: House, what: Any, status: int, said: str) -> None:
    """A page elsewhere can send a form without asking: that is refused too."""
    answer = asked(house.app, "POST", **what)
    assert answer.status_code == status
    assert said in answer.json()["detail"]
    assert house.get(PATH).json() == []


def test_a_replica_of_the_database_takes_no_rule(house: House) -> None:
    """It says where rules are added."""
    app = Starlette(routes=alert_rules.writes(house.postgres, only_reads=True))
    for method in ("POST", "DELETE"):
        answer = asked(app, method, json={"rule": "A close > 1"})
        assert answer.status_code == 409
        assert "kandle alert" in answer.json()["detail"]
