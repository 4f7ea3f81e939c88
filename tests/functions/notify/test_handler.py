"""Notifications over real HTTP: each alert to each target once, whatever is repeated or refused."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest

from functions.notify.handler import Notify
from shared.adapter.event import Event
from shared.alerts.event import as_event_json
from shared.alerts.notifications import NotificationError, Target, parse_targets
from shared.alerts.rule import Rule
from shared.errors import PermanentError, TransientError
from shared.stores.postgres import Postgres
from shared.wire import events
from tests.messenger import SECRET, Messenger

RULE = Rule.parse("A close > 100")
BODY = as_event_json("r1", RULE, 60_000_000, 120_000_000, value="101.5").encode()


@pytest.fixture
def messenger() -> Iterator[Messenger]:
    made = Messenger()
    yield made
    made.close()


@pytest.fixture
def postgres(database: str) -> Iterator[Postgres]:
    made = Postgres(database, size=8)
    yield made
    made.close()


def alert(id_: str = "detect-pattern/alert/r1/60000000", body: bytes = BODY) -> Event:
    return Event(id_, events.ALERTS, "/test", {"id": id_, "type": events.ALERTS}, body)


def notify(postgres: Postgres, *urls: str) -> Notify:
    return Notify(postgres, parse_targets("\n".join(urls)))


def test_an_alert_reaches_each_target_once(messenger: Messenger, postgres: Postgres) -> None:
    """Delivered three times, two of them at once; another alert is another notification."""
    handler = notify(postgres, messenger.url("/a"), messenger.url("/b"))
    with ThreadPoolExecutor(2) as threads:
        list(threads.map(handler, [alert(), alert()]))
    handler(alert())
    assert len(messenger.taken) == 2
    assert {each["title"] for each in messenger.taken} == {"A close > 100 on 1m"}
    assert messenger.taken[0]["message"] == "at 101.5, 1970-01-01 00:02:00 UTC"
    handler(alert("detect-pattern/alert/r1/120000000"))
    assert len(messenger.taken) == 4


def test_a_refused_notification_is_sent_by_a_later_delivery(
    messenger: Messenger, postgres: Postgres
) -> None:
    """The target that took it gets it no second time. The error shows no credentials."""
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


def test_a_target_that_is_away_is_tried_again(messenger: Messenger, postgres: Postgres) -> None:
    """Nothing listens there."""
    url = messenger.url()
    messenger.close()
    handler = notify(postgres, url)
    with pytest.raises(TransientError, match="json #1"):
        handler(alert())
    with psycopg.connect(postgres_url(postgres)) as connection:
        assert connection.execute("SELECT count(*) FROM alert_deliveries").fetchone() == (0,)


def postgres_url(postgres: Postgres) -> str:
    with postgres.connection() as connection:
        return connection.info.dsn + f" password={connection.info.password}"


def test_no_credential_is_logged(
    messenger: Messenger, postgres: Postgres, caplog: pytest.LogCaptureFixture
) -> None:
    """Neither by Apprise nor by what it sends with, at the finest level; nor in a repr."""
    caplog.set_level(logging.DEBUG)
    handler = notify(postgres, messenger.url())
    handler(alert())
    messenger.status = 404
    with pytest.raises(TransientError) as caught:
        handler(alert("2"))
    said = [each.getMessage() for each in caplog.records]
    for text in (*said, str(caught.value), repr(handler)):
        assert SECRET not in text


def test_without_targets_an_alert_is_taken(postgres: Postgres) -> None:
    """There is nobody to notify."""
    assert notify(postgres)(alert()).emit == ()


def test_what_is_no_alert_is_refused_for_good(messenger: Messenger, postgres: Postgres) -> None:
    """It would fail in the same way each time."""
    handler = notify(postgres, messenger.url())
    with pytest.raises(PermanentError, match="no alert"):
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
def test_urls_that_cannot_be_used_are_told_without_them(text: str, reason: str) -> None:
    """A settings error is logged."""
    with pytest.raises(ValueError, match=reason) as caught:
        parse_targets(text)
    assert SECRET not in str(caught.value)


def test_a_credential_is_hidden_however_it_is_written(messenger: Messenger) -> None:
    """A URL has it with percent signs, an error may have it without."""
    plain, written = "pa@ss/w0rd-0123", "pa%40ss%2Fw0rd-0123"
    (target,) = parse_targets(messenger.url().replace(SECRET, written))
    target.plugin.notify = Faulty(f"{plain} and {written}")
    with pytest.raises(NotificationError) as caught:
        target.send("a", "b")
    assert "w0rd" not in str(caught.value)


class Faulty:
    """A plugin's method that raises."""

    def __init__(self, text: str) -> None:
        self.text = text

    def __call__(self, **_: str) -> bool:
        raise ValueError(self.text)


def test_targets_have_names_without_credentials() -> None:
    """The messenger, and the place in the list."""
    found: tuple[Target, ...] = parse_targets(f"json://h/{SECRET} ntfys://{SECRET}")
    assert [each.name for each in found] == ["json #1", "ntfys #2"]
