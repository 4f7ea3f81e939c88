"""CloudEvents that a request carries, in binary and in structured mode."""

from __future__ import annotations

import json

import pytest

from shared.adapter.event import Event, NotACloudEventError, parse

BINARY = [
    *((b"ce-specversion", b"1.0"), (b"ce-id", b"b-1")),
    *((b"ce-source", b"/b"), (b"ce-type", b"binary")),
]


def structured(content_type: str = "application/cloudevents+json", **members: object) -> Event:
    event = {"specversion": "1.0", "id": "s-1", "source": "/s", "type": "structured", **members}
    return parse([(b"content-type", content_type.encode()), *BINARY], json.dumps(event).encode())


@pytest.mark.parametrize(
    "content_type",
    [
        *("application/cloudevents+json", "application/cloudevents+json; charset=utf-8"),
        "Application/CloudEvents+JSON",
    ],
)
def test_the_content_type_decides_the_mode(content_type: str) -> None:
    """A structured event is read as one, also with headers of binary mode beside it."""
    event = structured(content_type, data={"a": 1})
    assert (event.id, event.source, event.type) == ("s-1", "/s", "structured")
    assert json.loads(event.body) == {"a": 1}


@pytest.mark.parametrize("member", ["id", "source", "type"])
def test_an_empty_attribute_is_absent(member: str) -> None:
    """A structured event whose id, source or type is empty is not an event."""
    with pytest.raises(NotACloudEventError, match=member):
        structured(**{member: ""})


def test_no_time_is_made_up() -> None:
    """An event without a time has none, and no age, in both modes."""
    for event in (structured(), parse(BINARY, b"")):
        assert "time" not in event.attributes
        assert event.age_s(10**15) == 0
    assert structured(time="2026-01-01T00:00:00Z").attributes["time"] == "2026-01-01T00:00:00Z"


def test_the_first_of_two_headers_counts() -> None:
    """Of two headers with one name the first counts."""
    event = parse([*BINARY, (b"ce-id", b"b-2"), (b"content-type", b"a/b")], b"x")
    assert event == Event("b-1", "binary", "/b", event.attributes, b"x")
    assert event.attributes["datacontenttype"] == "a/b"
