"""Alerts to the sinks of their rules, over real HTTP."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

from functions.detect_pattern.deliver import Delivery
from functions.detect_pattern.storage import Storage
from shared.adapter.event import Event
from shared.alerts.event import as_event_json
from shared.alerts.retry_budget import GRACE_S, MOST_RETRIED, RetryBudget
from shared.alerts.rule import Rule
from shared.alerts.stored_rules import add_rule
from shared.errors import PermanentError, TransientError
from shared.stores.postgres import Postgres
from shared.wire import events
from tests.messenger import Messenger

RULE = Rule.parse("A close > 100")


@pytest.fixture
def messenger() -> Iterator[Messenger]:
    made = Messenger()
    yield made
    made.close()


@pytest.fixture
def postgres(database: str) -> Iterator[Postgres]:
    made = Postgres(database, size=2)
    yield made
    made.close()


def alert(rule_id: str, number: int) -> Event:
    body = as_event_json(rule_id, RULE, number, number, value="101.5").encode()
    id_ = f"detect-pattern/alert/{rule_id}/{number}"
    return Event(id_, events.ALERTS, "/test", {"id": id_, "type": events.ALERTS}, body)


def test_a_sink_that_is_away_holds_few_slots(postgres: Postgres, messenger: Messenger) -> None:
    """In a long outage of a sink few of its alerts are retried; the others are dead letters.

    The same rule's next alert is accepted as soon as the sink is back.
    """
    port = urlsplit(messenger.url()).port
    with postgres.connection() as connection:
        rule_id = add_rule(connection, RULE, f"http://127.0.0.1:{port}/hook")
    assert rule_id is not None
    clock = iter([0.0] * 20 + [GRACE_S] * 20)
    delivery = Delivery(Storage(postgres), frozenset(), RetryBudget(lambda: next(clock)))
    outcomes: Counter[type[Exception]] = Counter()
    messenger.status = 503
    for number in [*range(20)] * 2:
        with pytest.raises((TransientError, PermanentError), match="answered 503") as caught:
            delivery.deliver(alert(rule_id, number))
        outcomes[caught.type] += 1
    assert outcomes == {TransientError: 20 + MOST_RETRIED, PermanentError: 20 - MOST_RETRIED}
    messenger.status = 200
    delivery.deliver(alert(rule_id, 20))
    assert len(messenger.taken) == 1
