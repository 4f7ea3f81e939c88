"""Pages of alerts: newest first, of one instrument or all, each once."""

from __future__ import annotations

from typing import Any

import pytest

from shared.alerts.conditions import PatternFound
from shared.alerts.event import AlertEvent, as_event_json
from shared.alerts.rule import Rule
from shared.wire.patterns import as_event_json as pattern_json
from tests.functions.history_query.conftest import House
from tests.functions.history_query.drawn import pattern

MINUTE = 60_000_000


def tell(house: House, rule_id: str, text: str, minute: int, value: str = "100.10") -> None:
    """Store an alert of detect-pattern as persist does."""
    rule, start_us = Rule.parse(text), minute * MINUTE
    data: dict[str, Any] = (
        pattern_json(pattern(minute, symbol=rule.subject))
        if isinstance(rule.condition, PatternFound)
        else {"type": "alert", "data": {"value": value}}
    )
    end_us = start_us + MINUTE
    body = as_event_json(rule_id, rule, start_us, end_us, data["type"], **data["data"])
    house.patterns.alert(AlertEvent.decode(body.encode()))


@pytest.fixture
def filled(house: House) -> House:
    for minute in range(6):
        tell(house, "r1", "A/B close > 100", minute)
        tell(house, "r2", "A/B volume > 5", minute)
    tell(house, "r3", "C pattern double_top", 3)
    return house


def test_alerts_of_one_instrument_are_newest_first(filled: House) -> None:
    """The alerts of one instrument are newest first, without those of others."""
    body = filled.get("/api/alerts/A/B", limit="2").json()
    assert body["symbol"] == "A/B"
    assert [each["rule"] for each in body["alerts"]] == [
        "A/B volume > 5 on 1m",
        "A/B close > 100 on 1m",
    ]
    assert body["alerts"][1] == {
        "rule_id": "r1",
        "rule": "A/B close > 100 on 1m",
        "symbol": "A/B",
        "timeframe": "1m",
        "candle_start": 5 * 60_000,
        "timestamp": 6 * 60_000,
        "value": "100.10",
    }


def test_pages_join_where_rules_share_a_candle(filled: House) -> None:
    """A page may end between two alerts of one candle."""
    joined, parameters = [], {"limit": "3"}
    while True:
        body = filled.get("/api/alerts", **parameters).json()
        joined += [(each["candle_start"] // 60_000, each["rule_id"]) for each in body["alerts"]]
        if body["next"] is None:
            break
        parameters["cursor"] = body["next"]
    expected = {(minute, rule) for minute in range(6) for rule in ("r1", "r2")} | {(3, "r3")}
    assert joined == sorted(expected, reverse=True)


def test_times_select_alerts_and_a_pattern_alert_has_the_whole_pattern(filled: House) -> None:
    """`from` and `to` select by candle start, and an alert has its whole pattern."""
    body = filled.get(
        "/api/alerts/C", **{"from": "1970-01-01T00:03", "to": "1970-01-01T00:03:00.001"}
    ).json()
    assert body["alerts"][0].items() > pattern_json(pattern(3, symbol="C"))["data"].items()
    assert filled.get("/api/alerts/C", **{"from": "1970-01-01T00:03:00.001"}).status_code == 404
    assert (
        filled.get("/api/alerts", to="1970-01-01T00:03").json()["alerts"][0]["candle_start"]
        == 120_000
    )


@pytest.mark.parametrize(("name", "value"), [("cursor", "x"), ("limit", "0"), ("type", "a")])
def test_bad_parameters_are_named(filled: House, name: str, value: str) -> None:
    """A bad parameter is a 400 whose detail names it."""
    response = filled.get("/api/alerts", **{name: value})
    assert response.status_code == 400
    assert response.json()["detail"].startswith(f"{name}: ")
