"""Events that the ingress accepts, refuses and limits, and what a subscriber receives."""

from __future__ import annotations

import json
import random
import socket
import uuid

import httpx
import pytest

from tests.local.broker.conftest import NAMESPACE
from tests.local.broker.processes import BrokerRun, eventually, status
from tests.local.broker.subscriber import Subscriber

MAIN = f"{NAMESPACE}/main"
STRUCTURED = {"content-type": "application/cloudevents+json"}
BINARY = {"ce-specversion": "1.0", "ce-id": "1", "ce-source": "/s", "ce-type": "t"}


def new_id() -> str:
    return f"ingress-{uuid.uuid4().hex[:8]}"


def structured(event: str, **members: object) -> bytes:
    envelope = {"specversion": "1.0", "id": event, "source": "/s", "type": "table", **members}
    return json.dumps(envelope).encode()


def test_a_subscriber_gets_binary_mode_with_the_brokers_headers(
    rules: BrokerRun, subscriber: Subscriber
) -> None:
    """A delivery has a length, the event's own headers and those of the broker."""
    event, body = new_id(), random.Random(1).randbytes(5000)
    rules.send(MAIN, event, type="table", body=body, myext="a b", shard="3")
    (received,) = subscriber.wait_for(event)
    assert received.http_version == "HTTP/1.1"
    assert received.body == body
    headers = received.headers
    assert headers["content-length"] == "5000"
    assert headers["content-type"] == "application/octet-stream"
    assert headers["prefer"] == "reply"
    assert headers["kn-namespace"] == NAMESPACE
    assert (headers["ce-traceparent"], headers["ce-tracestate"]) == ("", "")
    assert (headers["ce-myext"], headers["ce-shard"]) == ("a b", "3")
    assert headers["ce-knativearrivaltime"].endswith("Z")
    assert "ce-knativebrokerttl" not in headers
    assert "transfer-encoding" not in headers


def test_a_traceparent_is_forwarded(rules: BrokerRun, subscriber: Subscriber) -> None:
    """A traceparent with a value reaches the subscriber."""
    event = new_id()
    rules.send(MAIN, event, type="table", traceparent="00-1-2-01")
    assert subscriber.wait_for(event)[0].headers["ce-traceparent"] == "00-1-2-01"


@pytest.mark.parametrize(
    ("members", "body", "content_type"),
    [
        ({"data": {"price": 1}}, b'{"price": 1}', "application/json"),
        ({"data": "text"}, b'"text"', "application/json"),
        ({"data": "text", "datacontenttype": "text/plain"}, b"text", "text/plain"),
        ({"data_base64": "AAH/"}, b"\x00\x01\xff", None),
        ({"data": None}, b"", None),
        ({}, b"", None),
    ],
)
def test_structured_mode_is_delivered_in_binary_mode(
    rules: BrokerRun,
    subscriber: Subscriber,
    members: dict[str, object],
    body: bytes,
    content_type: str | None,
) -> None:
    """Data as JSON, text or base64 becomes the body; integers and booleans become text."""
    event = new_id()
    content = structured(event, count=7, closed=True, **members)
    answer = rules.post(f"/{MAIN}", content, STRUCTURED)
    assert answer.status_code == 202, answer.text
    (received,) = subscriber.wait_for(event)
    assert received.body == body
    assert received.headers.get("content-type") == content_type
    assert received.headers["ce-count"] == "7"
    assert received.headers["ce-closed"] == "true"


def test_numbers_in_structured_data_keep_their_text(
    rules: BrokerRun, subscriber: Subscriber
) -> None:
    """A price with trailing zeros or more digits than a float is not rewritten."""
    event = new_id()
    data = b'{"p": 1.10, "q": 12345678901234567890.123456789}'
    content = structured(event, data="DATA").replace(b'"DATA"', data)
    rules.post(f"/{MAIN}", content, STRUCTURED)
    assert subscriber.wait_for(event)[0].body == data


@pytest.mark.parametrize(
    ("headers", "content", "says"),
    [
        ({}, b"x", "neither a header ce-specversion"),
        ({"ce-specversion": "1.0", "ce-id": "1", "ce-source": "/s"}, b"x", "type is missing"),
        ({**BINARY, "ce-id": ""}, b"", "id"),
        ({**BINARY, "ce-specversion": "0.3"}, b"", "0.3"),
        (
            {
                "ce-specversion": "1.0",
                "ce-id": "1",
                "ce-source": "/s",
                "ce-type": "t",
                "ce-a-b": "1",
            },
            b"",
            "attribute name",
        ),
        (
            {
                "ce-specversion": "1.0",
                "ce-id": "1",
                "ce-source": "/s",
                "ce-type": "t",
                "ce-time": "1",
            },
            b"",
            "RFC 3339",
        ),
        (STRUCTURED, b"[]", "not a JSON object"),
        (STRUCTURED, b'{"specversion": "1.0"', "not a JSON object"),
        (STRUCTURED, b'{"specversion": "1.0"} x', "not a JSON object"),
        (STRUCTURED, b'{"specversion": "1.0"}', "id is missing"),
        (STRUCTURED, structured("1", list=[1]), "list"),
        (STRUCTURED, structured("1", data_base64="%"), "base64"),
        ({"content-type": "application/cloudevents-batch+json"}, b"[]", "batches"),
    ],
)
def test_a_request_that_is_no_event_is_400(
    rules: BrokerRun, headers: dict[str, str], content: bytes, says: str
) -> None:
    """A request that is not an event is answered 400 with the reason."""
    answer = rules.post(f"/{MAIN}", content, headers)
    assert answer.status_code == 400
    assert says in answer.text


def test_unknown_brokers_and_other_methods(rules: BrokerRun) -> None:
    """An unknown Broker is 404, any method but POST 405, and the health check answers."""
    assert rules.send("rules/absent", "1").status_code == 404
    assert "/rules/main" in rules.send("rules/absent", "1").text
    assert status(f"{rules.url}/{MAIN}") == 405
    assert status(f"{rules.url}/healthz") == 200
    assert status(f"{rules.url}/readyz") == 200


@pytest.mark.parametrize(
    ("body", "passes"),
    [
        pytest.param(random.Random(2).randbytes(630_000), True, id="random-630000"),
        pytest.param(random.Random(2).randbytes(640_000), False, id="random-640000"),
        pytest.param(bytes(174_000), True, id="zeros-174000"),
        pytest.param(bytes(175_000), False, id="zeros-175000"),
        pytest.param(b"a" * 1_047_800, True, id="text-1047800"),
        pytest.param(b"a" * 1_048_500, False, id="text-1048500"),
        pytest.param(b"<" * 175_000, False, id="html-175000"),
        pytest.param(b'"' * 520_000, True, id="quotes-520000"),
        pytest.param(b'"' * 525_000, False, id="quotes-525000"),
        pytest.param(b"a" * 5_000_000, False, id="more-than-is-read"),
    ],
)
def test_the_limit_counts_the_escaped_form(
    rules: BrokerRun, subscriber: Subscriber, body: bytes, passes: bool
) -> None:
    """An event over 1 MiB in its escaped form is an empty 500 with a warning."""
    event = new_id()
    answer = rules.send(MAIN, event, type="table", body=body)
    if passes:
        assert answer.status_code == 202
        assert subscriber.wait_for(event)[0].body == body
    else:
        assert (answer.status_code, answer.content) == (500, b"")
        assert rules.warnings("refuse", str(len(body))) or rules.warnings("more than 2097152")


def test_a_repeated_event_is_delivered_once(rules: BrokerRun, subscriber: Subscriber) -> None:
    """A repeated event is answered 202, counted and delivered once without a warning."""
    event = new_id()
    before = rules.stats()["brokers"][MAIN]["duplicates"]
    for _ in range(2):
        assert rules.send(MAIN, event, type="table").status_code == 202
    after = new_id()
    rules.send(MAIN, after, type="table")
    for each in (after, event):  # in either order: deliveries are concurrent
        subscriber.wait_for(each)
    eventually(lambda: rules.stats()["triggers"][f"{NAMESPACE}/table"]["lag"] == 0)
    assert len(subscriber.of(event)) == 1
    assert rules.stats()["brokers"][MAIN]["duplicates"] == before + 1
    assert not rules.warnings(event)


@pytest.mark.parametrize("change", ["source", "type", "body"])
def test_another_event_with_a_used_id_is_lost_with_a_warning(
    rules: BrokerRun, subscriber: Subscriber, change: str
) -> None:
    """Another event with a used id is dropped with a warning: the dedupe key is the id alone."""
    event = new_id()
    rules.send(MAIN, event, type="table", source="/one")
    subscriber.wait_for(event)
    second = {"source": "/one", "type": "table", **({change: "other"} if change != "body" else {})}
    body = b"other" if change == "body" else b"payload"
    assert rules.send(MAIN, event, body=body, **second).status_code == 202
    assert "unique over the whole broker" in rules.warned(event)
    assert len(subscriber.of(event)) == 1


def test_a_used_up_ttl_is_refused(rules: BrokerRun) -> None:
    """An event with a TTL of one is dropped with a warning."""
    event = new_id()
    assert rules.send(MAIN, event, type="table", knativebrokerttl="1").status_code == 400
    rules.warned(event, "used up")


@pytest.mark.parametrize("framing", ["content-length", "chunked"])
def test_a_truncated_event_is_not_stored(
    rules: BrokerRun, subscriber: Subscriber, framing: str
) -> None:
    """An event whose connection ends within the body is not stored, and its repetition is."""
    event, body = new_id(), random.Random(2).randbytes(200_000)
    length = (
        "content-length: 200000" if framing == "content-length" else "transfer-encoding: chunked"
    )
    head = (
        f"POST /{MAIN} HTTP/1.1\r\nHost: broker\r\nce-specversion: 1.0\r\nce-id: {event}\r\n"
        f"ce-source: /tests\r\nce-type: table\r\n{length}\r\n\r\n"
    )
    half = body[:100_000]
    if framing == "chunked":
        half = b"%x\r\n%b\r\n" % (len(half), half)
    before = rules.stats()["brokers"][MAIN]
    with socket.create_connection(("127.0.0.1", rules.port)) as connection:
        connection.sendall(head.encode() + half)
        # the part that was read must not be stored
        connection.shutdown(socket.SHUT_WR)
        assert connection.recv(1000) == b""
    eventually(lambda: rules.stats()["brokers"][MAIN]["refused"] == before["refused"] + 1)
    assert rules.stats()["brokers"][MAIN]["accepted"] == before["accepted"]

    assert rules.send(MAIN, event, type="table", body=body).status_code == 202
    (received,) = subscriber.wait_for(event)
    assert received.body == body
    assert not rules.warnings(event)


def test_the_body_of_an_event_with_an_idempotency_key_may_differ(
    rules: BrokerRun, subscriber: Subscriber
) -> None:
    """A repetition with an idempotency key is a duplicate also if its body differs.

    With another type it is lost with a warning.
    """
    event = new_id()
    for body in (b"received at 1", b"received at 2"):
        answer = rules.send(MAIN, event, type="table", body=body, idempotencykey="k")
        assert answer.status_code == 202
    (received,) = subscriber.wait_for(event)
    assert received.body == b"received at 1"
    assert not rules.warnings(event)
    rules.send(MAIN, event, type="other", body=b"received at 2", idempotencykey="k")
    rules.warned(event, "LOSS", "unique over the whole broker")


@pytest.mark.parametrize("ttl", ["\u00b2", "\u0663", "--5", "1e3", "9" * 5000, "x"])
def test_an_invalid_ttl_is_replaced(rules: BrokerRun, subscriber: Subscriber, ttl: str) -> None:
    """A TTL with digits of other scripts, or too many of them, is replaced by the full TTL."""
    event = new_id()
    head = {**BINARY, "ce-id": event, "ce-type": "table"}
    headers = {name.encode(): value.encode() for name, value in head.items()}
    headers[b"ce-knativebrokerttl"] = ttl.encode()
    answer = httpx.post(f"{rules.url}/{MAIN}", content=b"x", headers=headers, trust_env=False)
    assert answer.status_code == 202, answer.text
    subscriber.wait_for(event)
