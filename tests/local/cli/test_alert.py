"""`kandle alert` over a real database and a real endpoint."""

from __future__ import annotations

import json
from collections.abc import Iterator

import psycopg
import pytest

from shared.stores.postgres import Postgres
from tests.messenger import SECRET, Messenger
from tests.platform import kandle


@pytest.fixture
def messenger() -> Iterator[Messenger]:
    made = Messenger()
    yield made
    made.close()


def test_a_rule_is_added_listed_and_removed(database: str) -> None:
    """A rule is added, listed and removed, as JSON and text; one that already holds has a note."""
    postgres = Postgres(database)
    postgres.check()
    postgres.close()
    with psycopg.connect(database) as connection:
        connection.execute(
            "INSERT INTO latest_quotes (instrument, bid, ask, event_time_us, update_id,"
            " receive_time_us, source, sequence) VALUES ('A', 1, 5, 0, -1, 0, 's', 0)"
        )
    url = ("--database-url", database)
    added = json.loads(kandle("alert", "add", "A spread > 2", "--json", *url).stdout)
    assert (added["rule"], added["holds"]) == ("A spread > 2", True)
    assert added["notes"] == ["already true: it alerts the next time it becomes true"]
    result = kandle("alert", "add", "A spread > 3 once", *url)
    assert result.stdout.split(maxsplit=1)[1].strip() == "A spread > 3 once"
    assert "already true" in result.stderr
    listed = json.loads(kandle("alert", "list", "--json", *url).stdout)
    assert [each["rule"] for each in listed] == ["A spread > 2", "A spread > 3 once"]
    removed = json.loads(kandle("alert", "remove", added["id"], "--json", *url).stdout)
    assert removed == {"id": added["id"], "rule": "A spread > 2"}
    assert "A spread > 2" not in kandle("alert", "list", *url).stdout
    refused = kandle("alert", "add", "A rsi:14 > foo", *url, check=False)
    assert refused.returncode == 2
    assert "position 12: 'foo' is none of the fields" in refused.stderr


@pytest.mark.processes
def test_alert_test_reports_the_result_of_each_service(messenger: Messenger) -> None:
    """`kandle alert test` reports the result of each service, and shows no credential."""
    away = f"json://user:{SECRET}@127.0.0.1:9/{SECRET}"
    settings = {"ALERT_URLS": f"{messenger.url()}\n{away}"}
    tested = kandle("alert", "test", "--json", check=False, settings=settings)
    assert tested.returncode == 1
    first, second = json.loads(tested.stdout)
    assert first == {"target": "json #1", "sent": True, "reason": None}
    assert (second["target"], second["sent"]) == ("json #2", False)
    assert second["reason"]
    assert SECRET not in tested.stdout + tested.stderr
    assert [each["title"] for each in messenger.taken] == ["Kandle: a test"]
    fine = kandle("alert", "test", settings={"ALERT_URLS": messenger.url()})
    assert fine.stdout == "json #1  sent\n"
    without = kandle("alert", "test", check=False, settings={"ALERT_URLS": ""})
    assert without.returncode == 2
    assert "ALERT_URLS is not set" in without.stderr
