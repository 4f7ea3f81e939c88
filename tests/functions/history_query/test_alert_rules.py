"""Alert rules over HTTP: listed, added, changed and removed; an invalid one has a reason."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette

from functions.history_query.topics.alert_rules import alert_rule_writes
from functions.notify.claims import Claims
from functions.notify.handler import STAGE, Notify
from shared.adapter.wiring import event_app
from shared.alerts.event import AlertEvent, as_event_json
from shared.alerts.notifications import parse_targets
from shared.alerts.rule import Rule
from shared.alerts.stored_rules import active_rules, add_rule
from tests.functions.history_query.conftest import House
from tests.messenger import SECRET, Messenger
from tests.served import served

PATH = "/api/alert-rules"


def send(app: Starlette, method: str, path: str = PATH, **what: Any) -> httpx.Response:
    async def ask() -> httpx.Response:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://api") as client:
            return await client.request(method, path, **what)

    return asyncio.run(ask())


def test_a_rule_is_added_listed_and_removed(house: House) -> None:
    """A rule is added, listed in canonical form and removed.

    Its sink, which may hold a token, is not shown.
    """
    added = send(house.app, "POST", json={"rule": "BTC-USD close>75000"})
    assert added.status_code == 201
    body = added.json()
    assert (body["rule"], body["note"]) == ("BTC-USD close > 75000 on 1m", None)
    with house.postgres.connection() as connection:
        add_rule(connection, Rule.parse("A close > 1"), "https://example.org/secret")
    first, second = house.get(PATH).json()
    assert (first["id"], first["rule"], first["posted"]) == (body["id"], body["rule"], False)
    assert (second["posted"], "secret" in str(second)) == (True, False)
    assert send(house.app, "DELETE", params={"id": body["id"]}).status_code == 204
    assert send(house.app, "DELETE", params={"id": body["id"]}).status_code == 404
    assert [each["id"] for each in house.get(PATH).json()] == [second["id"]]


def test_a_rule_that_is_active_is_not_added_again(house: House) -> None:
    """A repeated request adds no second rule; one with a sink, or that has alerted once, does."""
    same = [send(house.app, "POST", json={"rule": "A close>1 once"}).json()["id"] for _ in "ab"]
    assert same[0] == same[1]
    with house.postgres.connection() as connection:
        rule = Rule.parse("A close > 1 once")
        other = add_rule(connection, rule, "https://example.org/x")
        connection.execute(
            "INSERT INTO alerts (rule_id, instrument, timeframe, start_us, body)"
            " VALUES (%s, 'A', '1m', 0, '{}')",
            (same[0],),
        )
        again = add_rule(connection, rule)
    assert len({same[0], other, again}) == 3
    assert {each["id"] for each in house.get(PATH).json()} == {same[0], other, again}


@pytest.mark.parametrize(
    ("rule", "note"),
    [
        ("A pattern double_top or pattern hammer", None),
        ("A pattern anomaly_volume or pattern anomaly_strong_price_move", None),
        ("A pattern anomaly_volum", "no pattern is called anomaly_volum, so this rule"),
        ("A close > 1 and pattern doubletop", "no pattern is called doubletop, so this rule"),
        ("A pattern zzz", "no pattern is called zzz, so this rule stays silent"),
        ("A close > 1 on 7m", "no candles of 7m are made here (TIMEFRAMES is 1m,"),
    ],
)
def test_a_rule_that_cannot_alert_has_a_note(house: House, rule: str, note: str | None) -> None:
    """A rule with an unknown pattern, or a timeframe that is not stored, says so when added."""
    added = send(house.app, "POST", json={"rule": rule}).json()["note"]
    assert added is None if note is None else added.startswith(note)
    assert (added or "").endswith("there is double_top, double_bottom") == ("doubletop" in rule)


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
def test_an_invalid_rule_is_refused(house: House, what: Any, status: int, said: str) -> None:
    """An invalid rule is refused, and so is a form, which another site's page could send."""
    response = send(house.app, "POST", **what)
    assert response.status_code == status
    assert said in response.json()["detail"]
    assert house.get(PATH).json() == []


def test_a_database_replica_refuses_rules(house: House) -> None:
    """A database replica refuses a rule and names where rules are added."""
    routes = alert_rule_writes(house.postgres, "", (), only_reads=True)
    app = Starlette(routes=routes)
    for method in ("POST", "PATCH", "DELETE"):
        response = send(app, method, json={"rule": "A close > 1"})
        assert response.status_code == 409
        assert "kandle alert" in response.json()["detail"]


def test_a_rule_is_changed_in_place(house: House) -> None:
    """A changed rule has the sink of the old one; an invalid change leaves the old one."""
    with house.postgres.connection() as connection:
        before = add_rule(connection, Rule.parse("A close > 1"), "https://example.org/x")
    what: dict[str, Any] = {"params": {"id": before}}
    refused = send(house.app, "PATCH", **what, json={"rule": "A close >", "muted": True})
    assert (refused.status_code, "expected a field" in refused.json()["detail"]) == (400, True)
    assert send(house.app, "PATCH", **what, json={"muted": True}).status_code == 204
    changed = send(house.app, "PATCH", **what, json={"rule": "A close > 2"})
    assert (changed.status_code, changed.json()["rule"]) == (200, "A close > 2 on 1m")
    with house.postgres.connection() as connection:
        (rule,) = active_rules(connection)
    assert (rule.id, rule.rule) == (changed.json()["id"], "A close > 2 on 1m")
    assert (rule.sink, rule.muted) == ("https://example.org/x", True)
    assert house.get(PATH).json()[0]["muted"] is True
    assert send(house.app, "PATCH", **what, json={"rule": "A close > 3"}).status_code == 404
    assert send(house.app, "PATCH", **what, json={"muted": False}).status_code == 404
    assert send(house.app, "PATCH", json={"muted": False}).status_code == 400


def test_a_change_of_nothing_is_refused(house: House) -> None:
    """An empty change is refused; an unknown id is an unknown rule."""
    with house.postgres.connection() as connection:
        rule_id = add_rule(connection, Rule.parse("A close > 1"), muted=True)
    refused = send(house.app, "PATCH", params={"id": rule_id}, json={})
    assert (refused.status_code, "rule, muted" in refused.json()["detail"]) == (400, True)
    assert house.get(PATH).json()[0]["muted"] is True
    assert send(house.app, "PATCH", params={"id": "unknown"}, json={}).status_code == 404


def test_alerts_of_one_rule(house: House) -> None:
    """The alerts of one rule are read by its id, over pages."""
    rule = Rule.parse("A close > 1")
    for rule_id in ("r1", "r2"):
        for minute in range(3):
            start_us = minute * 60_000_000
            body = as_event_json(rule_id, rule, start_us, start_us + 60_000_000)
            house.patterns.alert(AlertEvent.decode(body.encode()))
    first = house.get("/api/alerts", rule="r1", limit="2").json()
    assert [each["candle_start"] for each in first["alerts"]] == [120_000, 60_000]
    second = house.get("/api/alerts", rule="r1", limit="2", cursor=first["next"]).json()
    assert [each["candle_start"] for each in second["alerts"]] == [0]
    assert house.get("/api/alerts", rule="x").json()["alerts"] == []
    assert house.get("/api/alerts", rule="").status_code == 400


def test_a_test_is_sent_by_notify(house: House) -> None:
    """A test is sent by notify to the service, and the response shows no credential."""
    messenger = Messenger()
    targets = parse_targets(f"ops={messenger.url()} json://127.0.0.1:9/{SECRET}")
    app = event_app(STAGE, Notify(Claims(house.postgres), targets), {})
    with served(app) as url:
        api = Starlette(routes=alert_rule_writes(house.postgres, url, ()))
        path = f"{PATH}/test"
        response = send(api, "POST", path, json={})
        assert SECRET not in response.text
        ops, away = response.json()["targets"]
        assert ops == {"target": "json #1 (ops)", "sent": True, "reason": None}
        assert (away["target"], away["sent"], bool(away["reason"])) == ("json #2", False, True)
        (ops,) = send(api, "POST", path, json={"rule": "A close>1 to ops"}).json()["targets"]
        assert ops["sent"]
        assert send(api, "POST", path, json={"rule": "A close >"}).status_code == 400
        assert send(api, "POST", path, data={"rule": "A close > 1"}).status_code == 415
    titles = [each["title"] for each in messenger.taken]
    assert titles == ["Kandle: a test", "Kandle: a test of A close > 1 on 1m to ops"]
    assert send(api, "POST", path, json={}).status_code == 503
    assert send(house.app, "POST", path, json={}).json() == {"targets": []}
    messenger.close()
