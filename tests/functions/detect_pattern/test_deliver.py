"""Alerts to the sinks of their rules, over real HTTP."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest

from functions.detect_pattern.deliver import Delivery
from functions.detect_pattern.settings import Settings
from functions.detect_pattern.storage import Storage
from shared.adapter.event import Event
from shared.alerts.circuit_breaker import CONFIRM_S, GRACE_S, CircuitBreakers
from shared.alerts.event import as_event_json
from shared.alerts.rule import Rule
from shared.alerts.stored_rules import add_rule
from shared.errors import PermanentError, TransientError
from shared.runtime.settings import SettingsError
from shared.stores.postgres import Postgres
from shared.wire import events
from tests.messenger import Messenger

RULE = Rule.parse("A close > 100")


def alert(rule_id: str, number: int) -> Event:
    body = as_event_json(rule_id, RULE, number, number, value="101.5").encode()
    id_ = f"detect-pattern/alert/{rule_id}/{number}"
    return Event(id_, events.ALERTS, "/test", {"id": id_, "type": events.ALERTS}, body)


def test_a_sink_that_is_away_holds_no_slots(postgres: Postgres, messenger: Messenger) -> None:
    """In a long outage of a sink its alerts are dead letters at once, whether retried or new.

    The same rule's next alert is accepted as soon as the sink is back.
    """
    port = urlsplit(messenger.url()).port
    with postgres.connection() as connection:
        rule_id = add_rule(connection, RULE, f"http://127.0.0.1:{port}/hook")
    assert rule_id is not None
    now_s = 0.0
    delivery = Delivery(Storage(postgres), frozenset(), CircuitBreakers(lambda: now_s))
    taken = len(messenger.taken)
    messenger.status = 503
    for seconds, error in (
        (0.0, TransientError),
        (GRACE_S, TransientError),
        (CONFIRM_S, PermanentError),
    ):
        now_s += seconds
        for number in range(20):
            with pytest.raises(error, match="answered 503"):
                delivery.deliver(alert(rule_id, number))
    messenger.status = 200
    delivery.deliver(alert(rule_id, 20))
    assert len(messenger.taken) == taken + 1


def test_a_sink_that_never_ends_its_answer_is_abandoned(
    postgres: Postgres, messenger: Messenger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A sink that sends a byte now and then holds an alert no longer than the timeout."""
    port = urlsplit(messenger.url()).port
    with postgres.connection() as connection:
        rule_id = add_rule(connection, RULE, f"http://127.0.0.1:{port}/hook")
    assert rule_id is not None
    delivery = Delivery(Storage(postgres), frozenset())
    monkeypatch.setattr("functions.detect_pattern.deliver.TIMEOUT_S", 0.5)
    messenger.holds.set()
    with pytest.raises(TransientError, match=r"no whole answer within 0\.5 s"):
        delivery.deliver(alert(rule_id, 0))
    messenger.holds.clear()
    delivery.deliver(alert(rule_id, 1))


def test_blank_hosts_do_not_allow_every_host() -> None:
    """ALERT_HOSTS that is set without a host is refused at start."""
    required = {"REDIS_URL": "redis://h", "DATABASE_URL": "postgresql://h/d"}
    assert Settings.from_env({**required, "ALERT_HOSTS": "a, b,a"}).alert_hosts == ("a", "b")
    with pytest.raises(SettingsError, match="ALERT_HOSTS: it is not empty"):
        Settings.from_env({**required, "ALERT_HOSTS": ", "})
