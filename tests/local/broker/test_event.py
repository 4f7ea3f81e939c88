"""The stored form of an event, and its size as the real channel counts it."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from local.broker.event import Event, escaped_size, parse

NAMES = st.text("abcdefghijklmnopqrstuvwxyz0123456789", min_size=1, max_size=20)
ATTRIBUTES = st.dictionaries(NAMES, st.text(min_size=1, max_size=30), max_size=6)
REQUIRED = {"specversion": "1.0", "id": "1", "source": "/s", "type": "t"}


def as_go_writes_it(text: str) -> bytes:
    """JSON as Go's encoder writes a string, HTML escapes included."""
    escaped = json.dumps(text, ensure_ascii=False)[1:-1]
    for short, long in (("\\b", "\\u0008"), ("\\f", "\\u000c")):
        escaped = escaped.replace(short, long)
    for character in "<>&\u2028\u2029":
        escaped = escaped.replace(character, f"\\u{ord(character):04x}")
    return escaped.encode()


@given(st.text().filter(lambda text: "\\" not in text))
def test_escaped_size_equals_gos_json(text: str) -> None:
    """For valid text the size is the length of what Go's encoder writes."""
    assert escaped_size(text.encode()) == len(as_go_writes_it(text))


@given(st.binary())
def test_escaped_size_adds_up_bytes(body: bytes) -> None:
    """Control bytes and HTML characters take six bytes, five others two, all else one."""
    six = sum((b < 0x20 and b not in b"\t\n\r") or b in b"<>&" for b in body)
    two = sum(b in b'\t\n\r"\\' for b in body)
    separators = body.count(b"\xe2\x80\xa8") + body.count(b"\xe2\x80\xa9")
    assert escaped_size(body) == len(body) + 5 * six + two + 3 * separators


@given(ATTRIBUTES, st.binary())
def test_the_stored_form_survives_the_stream(attributes: dict[str, str], body: bytes) -> None:
    """Attributes and body are unchanged after the stream."""
    event = Event({**attributes, **REQUIRED}, body)
    assert Event.from_stored_form(event.stored_form()) == event


@given(ATTRIBUTES, st.binary(max_size=200))
def test_the_stored_form_is_at_most_the_counted_size(
    attributes: dict[str, str], body: bytes
) -> None:
    """An event that passes the limit by the real channel's count fits into a message here."""
    event = Event({**attributes, **REQUIRED}, body)
    header = b"NATS/1.0\r\nNats-Msg-Id: 1\r\n\r\n"
    assert len(header) + len(event.stored_form()) <= event.stored_size(0)


def test_json_bodies_are_embedded_unescaped() -> None:
    """A JSON body is not a string in the envelope, so that its quotes are not escaped."""
    body = b'{"a": "b"}' * 10
    plain = Event({**REQUIRED, "datacontenttype": "text/plain"}, body)
    typed = Event({**REQUIRED, "datacontenttype": "text/json "}, body)
    assert plain.stored_size(0) - typed.stored_size(0) == body.count(b'"')


def test_headers_of_odd_values_are_percent_encoded() -> None:
    """A header value with a newline or an umlaut is percent-encoded."""
    event = Event({**REQUIRED, "subject": "a\nb ä"}, b"")
    assert event.headers()["ce-subject"] == "a%0Ab %C3%A4"


def test_empty_attributes_are_absent() -> None:
    """An empty Ce-Traceparent, as the broker itself sends it, is no attribute."""
    headers = [(f"ce-{name}".encode(), value.encode()) for name, value in REQUIRED.items()]
    event = parse([*headers, (b"ce-traceparent", b"")], b"")
    assert event.attributes == REQUIRED
