"""The table of responses: how the running broker handles each response of a subscriber."""

from __future__ import annotations

import base64
import itertools
import json
import time
import uuid

import pytest

from tests.local.broker.conftest import NAMESPACE
from tests.local.broker.processes import BrokerRun, eventually
from tests.local.broker.subscriber import Reply, Subscriber

MAIN = f"{NAMESPACE}/main"


def new_id(word: str) -> str:
    return f"{word}-{uuid.uuid4().hex[:8]}"


def settled(rules: BrokerRun, trigger: str) -> None:
    """Wait until a Trigger has nothing left to do."""
    key = f"{NAMESPACE}/{trigger}"
    eventually(lambda: rules.stats()["triggers"][key]["lag"] == 0)


@pytest.mark.parametrize("status", [200, 202, 204])
def test_success_without_a_body_is_final(
    rules: BrokerRun, subscriber: Subscriber, status: int
) -> None:
    """An empty 200, a 202 and a 204 each end the delivery after one attempt."""
    event = new_id("success")
    subscriber.script[event] = [Reply(status)]
    assert rules.send(MAIN, event, type="table").status_code == 202
    subscriber.wait_for(event)
    settled(rules, "table")
    assert len(subscriber.of(event)) == 1
    assert not subscriber.of(event, "/sink")


def test_a_body_that_is_no_event_counts_as_502(rules: BrokerRun, subscriber: Subscriber) -> None:
    """A 200 with a text body is retried and dead-lettered without error extensions."""
    event = new_id("text")
    subscriber.script[event] = [Reply(200, b"OK", {"Content-Type": "text/plain"})]
    rules.send(MAIN, event, type="table")
    letter = subscriber.dead_letter(event)
    assert len(subscriber.of(event)) == 4
    assert not [name for name in letter.headers if name.startswith("ce-knativeerror")]


@pytest.mark.parametrize("status", [301, 400, 404, 409, 422])
def test_a_refusal_loses_the_event(rules: BrokerRun, subscriber: Subscriber, status: int) -> None:
    """A 4xx with retries left ends after one attempt, with a warning and no dead letter."""
    event = new_id("refused")
    subscriber.script[event] = [Reply(status, b"no")]
    rules.send(MAIN, event, type="table")
    assert "LOSS" in rules.warned(event, str(status))
    settled(rules, "table")
    assert len(subscriber.of(event)) == 1
    assert not subscriber.of(event, "/sink")


@pytest.mark.parametrize("status", [408, 429, 500, 503])
def test_a_failure_is_retried_and_then_dead_lettered(
    rules: BrokerRun, subscriber: Subscriber, status: int
) -> None:
    """408, 429 and 5xx are retried after 2, 4 and 8 delays, then dead-lettered with a reason."""
    event = new_id("failed")
    subscriber.script[event] = [Reply(status, b"out of order", {"Retry-After": "7"})]
    rules.send(MAIN, event, type="table", body=b"data", myext="kept")
    letter = subscriber.dead_letter(event)
    attempts = subscriber.of(event)
    waits = [b.at - a.at for a, b in itertools.pairwise(attempts)]
    assert len(attempts) == 4
    for wait, least in zip(waits, (0.1, 0.2, 0.4), strict=True):
        assert wait >= least - 0.01
    assert sum(waits) < 3
    assert letter.headers["ce-knativeerrorcode"] == str(status)
    assert letter.headers["ce-knativeerrordest"] == (
        f"http://subscriber.{NAMESPACE}.svc.cluster.local/table"
    )
    assert base64.b64decode(letter.headers["ce-knativeerrordata"]) == b"out of order"
    assert letter.headers["ce-knativebrokerttl"] == "255"
    assert letter.headers["ce-myext"] == "kept"
    assert letter.body == b"data"


def test_linear_backoff_grows_by_one_delay(rules: BrokerRun, subscriber: Subscriber) -> None:
    """Linear backoff waits once, then twice the delay."""
    event = new_id("linear")
    subscriber.script[event] = [Reply(503)]
    rules.send(MAIN, event, type="linear")
    subscriber.dead_letter(event)
    first, second, third = subscriber.of(event)
    assert second.at - first.at >= 0.19
    assert third.at - second.at >= 0.39
    assert third.at - first.at < 1.19  # exponential backoff takes 1.2 s


def test_a_successful_retry_ends_the_delivery(rules: BrokerRun, subscriber: Subscriber) -> None:
    """An event that fails twice and then succeeds is delivered, not dead-lettered."""
    event = new_id("recovers")
    subscriber.script[event] = [Reply(503), Reply(500), Reply(204)]
    rules.send(MAIN, event, type="table")
    subscriber.wait_for(event, 3)
    settled(rules, "table")
    assert len(subscriber.of(event)) == 3
    assert not subscriber.of(event, "/sink")


def test_a_refused_connection_is_dead_lettered_with_500(
    rules: BrokerRun, subscriber: Subscriber
) -> None:
    """A subscriber that cannot be reached is retried; the dead letter's code is 500."""
    event = new_id("down")
    rules.send(MAIN, event, type="down")
    letter = subscriber.dead_letter(event)
    assert letter.headers["ce-knativeerrorcode"] == "500"
    assert letter.headers["ce-knativeerrordest"] == f"http://down.{NAMESPACE}.svc.cluster.local"


def test_a_timeout_is_dead_lettered_without_extensions(
    rules: BrokerRun, subscriber: Subscriber
) -> None:
    """A response after the timeout counts as none; the dead letter has no error extensions."""
    event = new_id("slow")
    subscriber.script[event] = [Reply(204, delay=0.6)]
    rules.send(MAIN, event, type="slow")
    letter = subscriber.dead_letter(event)
    assert len(subscriber.of(event)) == 2
    assert not [name for name in letter.headers if name.startswith("ce-knativeerror")]


@pytest.mark.parametrize("status", [400, 503])
def test_the_last_attempt_dead_letters_whatever_the_failure(
    rules: BrokerRun, subscriber: Subscriber, status: int
) -> None:
    """With retry 0 a 400 reaches the dead letter sink just as a 503 does."""
    event = new_id("once")
    subscriber.script[event] = [Reply(status)]
    rules.send(MAIN, event, type="once")
    letter = subscriber.dead_letter(event)
    assert len(subscriber.of(event)) == 1
    assert letter.headers["ce-knativeerrorcode"] == str(status)


def test_without_a_sink_the_event_is_lost_with_a_warning(
    rules: BrokerRun, subscriber: Subscriber
) -> None:
    """Without a dead letter sink an event is lost after the last retry, with a warning."""
    event = new_id("nosink")
    subscriber.script[event] = [Reply(503)]
    rules.send(MAIN, event, type="nosink")
    assert "no dead letter sink" in rules.warned(event)
    assert len(subscriber.of(event)) == 2


def test_a_missing_backoff_is_warned_about(rules: BrokerRun, subscriber: Subscriber) -> None:
    """A 5xx without backoff, which crashes the real dispatcher, is retried after a second."""
    event = new_id("nobackoff")
    subscriber.script[event] = [Reply(503), Reply(204)]
    rules.send(MAIN, event, type="nobackoff")
    first, second = subscriber.wait_for(event, 2)
    assert 0.95 <= second.at - first.at < 3
    assert "crashes" in rules.warned(event)


def test_a_trigger_without_delivery_takes_its_brokers(
    rules: BrokerRun, subscriber: Subscriber
) -> None:
    """A Trigger without delivery uses that of its Broker (retry 1, no sink)."""
    event = new_id("inherits")
    subscriber.script[event] = [Reply(503)]
    rules.send(MAIN, event, type="inherits")
    rules.warned(event, "attempt 2 was the last")
    assert len(subscriber.of(event)) == 2


def test_without_any_delivery_there_are_ten_retries(
    rules: BrokerRun, subscriber: Subscriber
) -> None:
    """Without any delivery the first retries come after 0.4 and 0.8 s."""
    event = new_id("bare")
    subscriber.script[event] = [Reply(503), Reply(503), Reply(204)]
    rules.send(f"{NAMESPACE}/bare", event, type="bare")
    first, second, third = subscriber.wait_for(event, 3)
    assert second.at - first.at >= 0.39
    assert third.at - second.at >= 0.79


def test_a_refused_dead_letter_is_retried(rules: BrokerRun, subscriber: Subscriber) -> None:
    """A refused dead letter is retried, with a warning that the real broker would lose it."""
    event = new_id("badsink")
    subscriber.script[event] = [Reply(503)]
    subscriber.sink_script[event] = [Reply(503), Reply(503), Reply(204)]
    rules.send(MAIN, event, type="badsink")
    subscriber.wait_for(event, 3, "/sink")
    assert "real channel would have lost it" in rules.warned(event)
    settled(rules, "badsink")
    assert len(subscriber.of(event, "/sink")) == 3


@pytest.mark.parametrize("structured", [False, True])
def test_a_reply_event_goes_through_the_broker(
    rules: BrokerRun, subscriber: Subscriber, structured: bool
) -> None:
    """A reply with an id of its own is delivered by the broker with a TTL lower by one."""
    event = new_id("asks")
    attributes = {"specversion": "1.0", "id": f"{event}/1", "source": "/s", "type": "replied"}
    if structured:
        body = json.dumps({**attributes, "data": {"n": 1}}).encode()
        reply = Reply(200, body, {"Content-Type": "application/cloudevents+json"})
    else:
        headers = {f"ce-{name}": value for name, value in attributes.items()}
        reply = Reply(200, b'{"n": 1}', {**headers, "Content-Type": "application/json"})
    subscriber.script[event] = [reply]
    # the dead letter of a failing receiver has the TTL
    subscriber.script[f"{event}/1"] = [Reply(503)]
    rules.send(MAIN, event, type="table")
    (received, *_) = subscriber.wait_for(f"{event}/1", path="/replied")
    assert json.loads(received.body) == {"n": 1}
    assert received.headers["content-type"] == "application/json"
    assert subscriber.dead_letter(f"{event}/1").headers["ce-knativebrokerttl"] == "254"


def test_a_reply_with_the_inputs_id_is_lost_with_a_warning(
    rules: BrokerRun, subscriber: Subscriber
) -> None:
    """A reply with its input's id is dropped as a duplicate, with a warning."""
    event = new_id("same")
    headers = {"ce-specversion": "1.0", "ce-id": event, "ce-source": "/s", "ce-type": "replied"}
    subscriber.script[event] = [Reply(200, b"x", headers)]
    rules.send(MAIN, event, type="table")
    assert "id of its input" in rules.warned(event)
    assert not subscriber.of(event, "/replied")


def test_a_broken_reply_event_counts_as_502(rules: BrokerRun, subscriber: Subscriber) -> None:
    """A reply with ce- headers but without an id is retried and dead-lettered."""
    event = new_id("broken")
    subscriber.script[event] = [Reply(200, b"x", {"ce-specversion": "1.0", "ce-type": "replied"})]
    rules.send(MAIN, event, type="once")
    letter = subscriber.dead_letter(event)
    assert "ce-knativeerrorcode" not in letter.headers


def test_a_reply_that_cannot_be_stored_dead_letters_the_input(
    rules: BrokerRun, subscriber: Subscriber
) -> None:
    """If a reply cannot be stored, the input is dead-lettered after the retries."""
    event = new_id("large")
    headers = {"ce-specversion": "1.0", "ce-id": f"{event}/1", "ce-source": "/s", "ce-type": "x"}
    subscriber.script[event] = [Reply(200, bytes(400_000), headers)]
    started = time.monotonic()
    rules.send(MAIN, event, type="table", body=b"the input")
    assert subscriber.dead_letter(event).body == b"the input"
    assert time.monotonic() - started > 0.7
    assert len(subscriber.of(event)) == 1
    rules.warned(event, "the dead letter sink gets the input")


def test_a_loop_of_replies_ends(rules: BrokerRun, subscriber: Subscriber) -> None:
    """An event whose TTL is used up is dropped with a warning."""
    event = new_id("circle")
    attributes = {"specversion": "1.0", "source": "/s", "type": "circle"}
    for n in range(5):
        headers = {f"ce-{k}": v for k, v in {**attributes, "id": f"{event}{n + 1}"}.items()}
        subscriber.script[f"{event}{n}"] = [Reply(200, b"x", headers)]
    rules.send(MAIN, f"{event}0", type="circle", knativebrokerttl="4")
    assert "circle" in rules.warned(event, "is used up")
    assert subscriber.of(f"{event}2")
    assert not subscriber.of(f"{event}3")
