"""The client's live feed over scripted responses: refusals, resume positions, lines, proxies."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Iterator

import pytest

from kandle.client import AddressError, ApiError, AsyncKandle, Kandle, UnreachableError
from local.servers.ports import free_port
from tests.local.feeds.receivers import Answer, HttpReceiver, http_receiver


@pytest.fixture
def server() -> Iterator[HttpReceiver]:
    with http_receiver() as receiver:
        receiver.otherwise = Answer(204)  # the end, so that no test waits
        yield receiver


def frames(*messages: dict[str, object], id_: str = "") -> Answer:
    """A response with these frames; the last has the id."""
    *begin, end = (f"data: {json.dumps(each, ensure_ascii=False)}\n\n" for each in messages)
    body = f"{''.join(begin)}{id_}{end}"
    return Answer(200, body.encode(), {"Content-Type": "text/event-stream"})


def refused(title: str, status: int = 503) -> Answer:
    return Answer(status, json.dumps({"title": title, "detail": f"about {title}"}).encode())


def update(text: str, seq: int = 1) -> dict[str, object]:
    return {"type": "update", "channel": "busts:A", "seq": seq, "data": {"reason": text}}


def test_a_refusal_of_the_first_connection_is_raised(server: HttpReceiver) -> None:
    """A server that refuses at first, for a time or for good, is an error in both clients."""
    server.answers = [refused("too many clients"), refused("no_history", 501)]
    expected = pytest.raises(ApiError, match="503 too many clients: about too many clients")
    with Kandle(live_url=server.url) as kandle, expected:
        next(kandle.messages("ticks:A"))

    async def replayed() -> None:
        async with AsyncKandle(live_url=server.url) as client:
            await anext(client.replay("ticks:A", start="-1h"))

    with pytest.raises(ApiError, match="no_history"):
        asyncio.run(replayed())
    assert len(server.requests) == 2


@pytest.mark.parametrize("status", [501, 503])
def test_a_later_refusal_is_logged_and_one_for_good_is_raised(
    server: HttpReceiver, caplog: pytest.LogCaptureFixture, status: int
) -> None:
    """After a connection a refusal is logged with its reason; a replay without history ends.

    An older server refuses it with 503.
    """
    server.answers = [frames(update("x")), refused("the live stream is away"), frames(update("y"))]
    server.otherwise = refused("no_history", status)
    with caplog.at_level(logging.WARNING, "kandle"), Kandle(live_url=server.url) as kandle:
        messages = kandle.messages("busts:A")
        assert [next(messages)["data"]["reason"] for _ in range(2)] == ["x", "y"]
        with pytest.raises(ApiError, match="no_history"):
            next(messages)
    assert [each.getMessage() for each in caplog.records] == [
        "cut (the server ended it), connecting again",
        "cut (503 the live stream is away: about the live stream is away), connecting again",
        "cut (the server ended it), connecting again",
    ]


def test_a_position_belongs_to_the_stream_it_was_seen_in(
    server: HttpReceiver, caplog: pytest.LogCaptureFixture
) -> None:
    """A stream that was created anew is read from its snapshot on, and resumed by its own ids."""
    subscribed: dict[str, object] = {"type": "subscribed", "replayed": False}
    item = {"channel": "busts:A", "seq": 1, "data": {"reason": "new"}}
    server.answers = [
        frames(update("old", 5), id_="id: g.a/5\n"),
        frames(subscribed),
        frames(subscribed, {"type": "snapshot", "items": [item], "more": True}),
        frames(subscribed, {"type": "snapshot", "items": [item]}, id_="id: g.b/1\n"),
    ]
    with caplog.at_level(logging.WARNING, "kandle"), Kandle(live_url=server.url) as kandle:
        seen = [each["data"]["reason"] for each in kandle.messages("busts:A")]
    assert seen == ["old", "new", "new"]
    positions = [each.headers.get("last-event-id") for each in server.requests]
    assert positions == [None, "g.a/5", "g.a/5", "g.a/5", "g.b/1"]
    assert "no longer retained" in caplog.text


def test_only_a_line_feed_ends_a_line(server: HttpReceiver) -> None:
    """Text with separators of Unicode arrives as it was sent."""
    text = "a\u2028b\u2029c\x85d"
    server.answers = [frames(update(text))]
    with Kandle(live_url=server.url) as kandle:
        (message,) = kandle.messages("busts:A")
    assert message["data"]["reason"] == text


def test_an_environments_proxy_is_not_asked_for_this_machine_or_if_it_is_ignored(
    server: HttpReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither loopback addresses nor a connection without the environment use its proxy."""
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    for name in ("HTTP_PROXY", "http_proxy"):
        monkeypatch.setenv(name, server.url)
    port = free_port()
    with Kandle(live_url=f"http://[::1]:{port}") as kandle, pytest.raises(UnreachableError):
        next(kandle.messages("ticks:A"))
    elsewhere = f"http://127.0.0.2:{port}"
    with Kandle(live_url=elsewhere, trust_env=False) as kandle, pytest.raises(UnreachableError):
        next(kandle.messages("ticks:A"))
    assert not server.requests
    with Kandle(live_url=elsewhere) as kandle:
        assert not list(kandle.messages("ticks:A"))
    assert len(server.requests) == 1


def test_an_address_without_a_scheme_is_refused_at_once() -> None:
    """The error of an address without http:// names the address and what is missing."""
    with Kandle("localhost:8080") as kandle, pytest.raises(AddressError, match="has no http://"):
        kandle.symbols()
