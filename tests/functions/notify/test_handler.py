"""Notifications over real HTTP: each alert reaches each target once."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import orjson
import pytest

from functions.notify.claims import Claims
from functions.notify.handler import Notify
from shared.adapter.event import Event
from shared.alerts.circuit_breaker import CONFIRM_S, GRACE_S, YOUNG_S, CircuitBreakers
from shared.alerts.event import as_event_json
from shared.alerts.notifications import NotificationError, Target, parse_targets
from shared.alerts.rule import Rule
from shared.errors import PermanentError, TransientError
from shared.stores.postgres import Postgres
from shared.wire import events
from tests.e2e.client import eventually
from tests.messenger import SECRET, Messenger

RULE = Rule.parse("A close > 100")
BODY = as_event_json("r1", RULE, 60_000_000, 120_000_000, value="101.5").encode()


@pytest.fixture
def messenger() -> Iterator[Messenger]:
    made = Messenger()
    yield made
    made.close()


def alert(id_: str = "detect-pattern/alert/r1/60000000", body: bytes = BODY) -> Event:
    return Event(id_, events.ALERTS, "/test", {"id": id_, "type": events.ALERTS}, body)


def notify(postgres: Postgres, *urls: str, patience_s: float = 30.0) -> Notify:
    return Notify(Claims(postgres), parse_targets("\n".join(urls)), patience_s)


def deliveries(postgres: Postgres) -> list[bool]:
    """Whether each delivery has ended."""
    with postgres.connection() as connection:
        rows = connection.execute("SELECT claimed_until IS NULL FROM alert_deliveries").fetchall()
    return [row[0] for row in rows]


def test_an_alert_reaches_each_target_once(messenger: Messenger, postgres: Postgres) -> None:
    """An alert delivered several times, also concurrently, reaches each target once.

    Another alert is another notification.
    """
    handler = notify(postgres, messenger.url("/a"), messenger.url("/b"))

    def delivered(event: Event) -> None:
        with contextlib.suppress(TransientError):  # the other delivery has it
            handler(event)

    with ThreadPoolExecutor(2) as threads:
        list(threads.map(delivered, [alert(), alert()]))
    handler(alert())
    assert len(messenger.taken) == 2
    assert {each["title"] for each in messenger.taken} == {"A close > 100 on 1m"}
    assert messenger.taken[0]["message"] == "at 101.5, 1970-01-01 00:02:00 UTC"
    handler(alert("detect-pattern/alert/r1/120000000"))
    assert len(messenger.taken) == 4


def test_a_refused_notification_is_sent_by_a_later_delivery(
    messenger: Messenger, postgres: Postgres
) -> None:
    """A refused notification is sent by a redelivery, and only to the target that refused.

    The error shows no credentials.
    """
    other = Messenger()
    handler = notify(postgres, other.url(), messenger.url())
    messenger.status = 503
    for _ in range(2):
        with pytest.raises(TransientError, match=r"json #2: .*503") as caught:
            handler(alert())
        assert SECRET not in str(caught.value)
    messenger.status = 200
    handler(alert())
    assert (len(other.taken), len(messenger.taken)) == (1, 1)
    other.close()


def test_an_unreachable_target_is_retried(messenger: Messenger, postgres: Postgres) -> None:
    """An unreachable target is retried by the redelivery."""
    url = messenger.url()
    messenger.close()
    handler = notify(postgres, url)
    with pytest.raises(TransientError, match="json #1"):
        handler(alert())
    assert deliveries(postgres) == []


def test_a_service_that_is_away_holds_no_slots(messenger: Messenger, postgres: Postgres) -> None:
    """In a long outage alerts are dead letters, sent elsewhere; replayed ones reach it once."""
    other = Messenger()
    now_s = 0.0
    targets = parse_targets(f"{other.url()} {messenger.url()}")
    handler = Notify(Claims(postgres), targets, breakers=CircuitBreakers(lambda: now_s))
    messenger.status = 503
    for seconds in (0.0, GRACE_S):
        now_s += seconds
        with pytest.raises(TransientError, match="json #2"):
            handler(alert("first"))
    now_s += CONFIRM_S
    for id_ in ("later", "first"):
        with pytest.raises(PermanentError, match=r"json #2: .*; away for"):
            handler(alert(id_))
    assert len(other.taken) == 2
    messenger.status = 200
    for id_ in ("later", "first", "first"):
        handler(alert(id_))
    assert (len(other.taken), len(messenger.taken)) == (2, 2)
    other.close()


def test_no_dead_letter_while_another_target_is_busy(
    messenger: Messenger, postgres: Postgres
) -> None:
    """In a long outage an alert is retried while another target is being sent to: it may fail."""
    other = Messenger()
    now_s = 0.0
    targets = parse_targets(f"{other.url()} {messenger.url()}")
    claims = Claims(postgres)
    handler = Notify(claims, targets, breakers=CircuitBreakers(lambda: now_s))
    messenger.status = 503
    for seconds, id_ in ((0.0, "first"), (GRACE_S, "first"), (CONFIRM_S, "second")):
        now_s += seconds
        with pytest.raises(PermanentError if id_ == "second" else TransientError):
            handler(alert(id_))
    digest = targets[0].digest
    claimed, _ = claims.claim("third", [digest])
    with pytest.raises(TransientError, match="json #1: is being sent"):
        handler(alert("third"))
    claims.release("third", digest, claimed[digest])
    with pytest.raises(PermanentError):
        handler(alert("third"))
    assert len(other.taken) == 3
    other.close()


def test_a_slow_service_is_not_away(messenger: Messenger, postgres: Postgres) -> None:
    """A service that accepts an alert after our patience ended is not away."""
    now_s = 0.0
    targets = parse_targets(messenger.url())
    handler = Notify(Claims(postgres), targets, 0.1, CircuitBreakers(lambda: now_s))
    for seconds in (0.0, GRACE_S, CONFIRM_S):
        now_s += seconds
        messenger.holds.set()
        with pytest.raises(TransientError, match="no answer within"):
            handler(alert(str(now_s)))
        messenger.holds.clear()
        eventually(lambda: deliveries(postgres), all)


def test_a_hanging_service_takes_one_worker(messenger: Messenger, postgres: Postgres) -> None:
    """In a long outage one alert at a time waits for a service; the others do not call it."""
    now_s = 0.0
    targets = parse_targets(messenger.url())
    handler = Notify(Claims(postgres), targets, 0.1, CircuitBreakers(lambda: now_s))
    messenger.status = 503
    for seconds in (0.0, GRACE_S):
        now_s += seconds
        with pytest.raises(TransientError, match="503"):
            handler(alert("first"))
    now_s += CONFIRM_S
    messenger.status = 200
    messenger.holds.set()
    for number in range(3):
        with pytest.raises(TransientError, match="is away" if number else "no answer within"):
            handler(alert(str(number)))  # the call is young: the service may be back
    now_s += YOUNG_S
    for number in range(1, 3):
        with pytest.raises(PermanentError, match="is away"):
            handler(alert(str(number)))
    assert deliveries(postgres) == [False]
    messenger.holds.clear()
    eventually(lambda: deliveries(postgres), all)
    handler(alert("later"))
    assert len(messenger.taken) == 2


def test_a_slow_service_delays_no_other(messenger: Messenger, postgres: Postgres) -> None:
    """A slow service delays no other target, holds no transaction, and gets its notification."""
    other = Messenger()
    messenger.holds.set()
    handler = notify(postgres, other.url(), messenger.url(), patience_s=0.5)
    with pytest.raises(TransientError, match=r"json #2: no answer within 0\.5 s"):
        handler(alert())
    eventually(lambda: len(other.taken), lambda taken: taken == 1)
    assert messenger.taken == []
    with postgres.connection() as connection:
        idle = "SELECT count(*) FROM pg_stat_activity WHERE state LIKE 'idle in%'"
        assert connection.execute(idle).fetchone() == (0,)
    with pytest.raises(TransientError, match="json #2: is being sent"):
        handler(alert())
    messenger.holds.clear()
    eventually(lambda: deliveries(postgres), lambda ended: ended == [True, True])
    handler(alert())
    assert (len(other.taken), len(messenger.taken)) == (1, 1)
    other.close()


def test_hanging_notifications_are_bounded(messenger: Messenger, postgres: Postgres) -> None:
    """Hanging notifications are bounded; one over the bound is refused and sent later."""
    messenger.holds.set()
    handler = notify(postgres, messenger.url(), patience_s=0.01)
    for number in range(4):
        with pytest.raises(TransientError, match="no answer"):
            handler(alert(str(number)))
    with pytest.raises(TransientError, match="4 notifications to it have not ended"):
        handler(alert("4"))
    assert deliveries(postgres) == [False] * 4
    messenger.holds.clear()
    eventually(lambda: len(messenger.taken), lambda taken: taken == 4)

    def delivered() -> bool:
        with contextlib.suppress(TransientError):
            handler(alert("4"))
        return len(messenger.taken) == 5

    eventually(delivered, bool)


def test_a_claim_of_a_dead_process_expires(messenger: Messenger, postgres: Postgres) -> None:
    """The claim of a process that died expires, and nobody sends the notification before."""
    handler = notify(postgres, messenger.url())
    claimed, _ = handler.claims.claim(alert().id, [handler.targets[0].digest])
    assert len(claimed) == 1
    with pytest.raises(TransientError, match="is being sent"):
        handler(alert())
    with postgres.connection() as connection:
        connection.execute("UPDATE alert_deliveries SET claimed_until = now() - interval '1 s'")
    handler(alert())
    assert len(messenger.taken) == 1


def test_a_rule_chooses_its_targets(messenger: Messenger, postgres: Postgres) -> None:
    """A rule selects targets by name, also several of one name, and a muted one none."""
    handler = notify(
        postgres, f"ops,desk={messenger.url('/a')}", f"desk={messenger.url('/b')}", "json://h/"
    )

    def sent(id_: str, rule: str, **values: Any) -> int:
        before = len(messenger.taken)
        body = as_event_json("r", Rule.parse(rule), 60_000_000, 120_000_000, **values)
        handler(alert(id_, body.encode()))
        return len(messenger.taken) - before

    assert sent("1", "A close > 1 to ops") == 1
    assert sent("2", "A close > 1 to desk") == 2
    assert sent("3", "A gap to ops", muted=True) == 0
    with pytest.raises(PermanentError, match=r"night: no URL .* there are desk, ops"):
        sent("4", "A close > 1 to ops, night")
    assert len(messenger.taken) == 4  # ops has been notified


def results_of(handler: Notify, **asked: str) -> list[dict[str, object]]:
    body = orjson.dumps(asked)
    outcome = handler(Event("t", events.ALERT_TEST, "/test", {"id": "t"}, body))
    assert outcome.reply is not None
    found: list[dict[str, object]] = orjson.loads(outcome.reply.body)["targets"]
    return found


def test_a_test_reports_the_result_of_each_target(messenger: Messenger, postgres: Postgres) -> None:
    """A test reports each target's result by name, and records no delivery."""
    other = Messenger()
    other.status = 500
    handler = notify(postgres, f"ops={messenger.url()}", other.url())
    for _ in range(2):
        ops, second = results_of(handler)
        assert ops == {"target": "json #1 (ops)", "sent": True, "reason": None}
        assert (second["target"], second["sent"]) == ("json #2", False)
        assert "500" in str(second["reason"])
        assert SECRET not in str(second)
    (only, unknown) = results_of(handler, rule="A close > 1 to ops, night")
    assert (only["sent"], unknown["target"], unknown["sent"]) == (True, "night", False)
    titles = [each["title"] for each in messenger.taken]
    assert titles[::2] == ["Kandle: a test", "Kandle: a test of A close > 1 on 1m to ops, night"]
    assert results_of(notify(postgres)) == []
    with pytest.raises(PermanentError, match="not a test"):
        results_of(handler, rule="A close >")
    other.close()


def test_no_credential_is_logged(
    messenger: Messenger, postgres: Postgres, caplog: pytest.LogCaptureFixture
) -> None:
    """No log at any level, of Apprise or its HTTP client, and no `repr` has a credential."""
    caplog.set_level(logging.DEBUG)
    handler = notify(postgres, messenger.url())
    handler(alert())
    messenger.status = 404
    with pytest.raises(TransientError) as caught:
        handler(alert("2"))
    messages = [each.getMessage() for each in caplog.records]
    for text in (*messages, str(caught.value), repr(handler)):
        assert SECRET not in text


def test_without_targets_an_alert_is_accepted(postgres: Postgres) -> None:
    """Without targets an alert is accepted."""
    assert notify(postgres)(alert()).emit == ()


def test_an_invalid_alert_is_a_permanent_error(messenger: Messenger, postgres: Postgres) -> None:
    """An invalid alert is a permanent error."""
    handler = notify(postgres, messenger.url())
    with pytest.raises(PermanentError, match="not an alert"):
        handler(alert(body=b"{}"))
    with pytest.raises(PermanentError, match="takes"):
        handler(Event("1", events.TICKS, "/test", {"id": "1", "type": events.TICKS}, b""))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (f"nothing://{SECRET}", "URL 1 is none that Apprise knows"),
        (f"json://h/{SECRET} {SECRET}", "URL 2 is none that Apprise knows"),
        (f"json://h/{SECRET} json://h/{SECRET}", "URL 2 is the same as URL 1"),
        ("json://h/" + SECRET * 1_000, "URL 1 is longer than"),
        (" ".join(f"json://h/{SECRET}{n}" for n in range(40)), "40 URLs; at most 8"),
    ],
)
def test_bad_urls_are_reported_without_their_text(text: str, reason: str) -> None:
    """The error of a bad URL, which is logged, does not contain it."""
    with pytest.raises(ValueError, match=reason) as caught:
        parse_targets(text)
    assert SECRET not in str(caught.value)


def test_a_credential_is_hidden_however_it_is_written(messenger: Messenger) -> None:
    """A credential is hidden with percent-encoding and without."""
    plain, written = "pa@ss/w0rd-0123", "pa%40ss%2Fw0rd-0123"
    (target,) = parse_targets(messenger.url().replace(SECRET, written))
    target.plugin.notify = Faulty(f"{plain} and {written}")
    with pytest.raises(NotificationError) as caught:
        target.send("a", "b")
    assert "w0rd" not in str(caught.value)


class Faulty:
    """A method of a plugin that raises."""

    def __init__(self, text: str) -> None:
        self.text = text

    def __call__(self, **_: str) -> bool:
        raise ValueError(self.text)


def test_targets_have_names_without_credentials() -> None:
    """A target is named by its service and position, without credentials."""
    found: tuple[Target, ...] = parse_targets(f"json://h/{SECRET} ntfys://{SECRET}")
    assert [each.name for each in found] == ["json #1", "ntfys #2"]
