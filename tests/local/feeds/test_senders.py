from __future__ import annotations

import socket

import httpx
import pytest

from local.feeds.pacing import RateLimiter
from local.feeds.senders import (
    MAX_BODY_BYTES,
    MAX_DATAGRAM_BYTES,
    HttpSender,
    SendError,
    UdpSender,
)
from local.servers.ports import free_port
from tests.local.feeds.receivers import (
    Answer,
    http_receiver,
    received,
    udp_receiver,
)

LINES = [b"BTC-USD,61837.63,0.02,1700000000000,buy,%d" % number for number in range(5_000)]


def test_lines_share_datagrams_that_are_never_too_large() -> None:
    """Every line arrives in order, several in a datagram of at most 1,400 bytes."""
    with udp_receiver() as receiver, UdpSender(receiver.getsockname()) as sender:
        got = []
        for line in LINES:
            sender.send(line)
            got += received(receiver)
        sender.flush()
        got += received(receiver)
        assert b"".join(got).splitlines() == LINES
        assert max(map(len, got)) <= MAX_DATAGRAM_BYTES
        assert min(map(len, got[:-1])) > MAX_DATAGRAM_BYTES - 100
        assert (sender.lines, sender.units) == (len(LINES), len(got))


def test_a_flush_sends_pending_lines() -> None:
    """Pending lines are sent before a silence, and an empty flush sends nothing."""
    with udp_receiver() as receiver, UdpSender(receiver.getsockname()) as sender:
        sender.send(b"A,1")
        assert received(receiver) == []
        sender.silence(0.001)
        sender.silence(0.001)
        assert received(receiver) == [b"A,1\n"]


def test_the_limiter_counts_every_line() -> None:
    """The limiter counts every sent line."""
    spent = []

    class Recording(RateLimiter):
        def spend(self, lines: int) -> None:
            spent.append(lines)

    with udp_receiver() as receiver, UdpSender(receiver.getsockname(), Recording(1)) as sender:
        for line in LINES[:100]:
            sender.send(line)
        sender.flush()
        assert sum(spent) == 100


def test_a_line_that_fits_no_datagram_is_refused() -> None:
    """A line longer than a datagram is refused, since a part would be another tick."""
    with (
        udp_receiver() as receiver,
        UdpSender(receiver.getsockname()) as sender,
        pytest.raises(SendError, match="does not fit"),
    ):
        sender.send(b"A" * MAX_DATAGRAM_BYTES)


def test_a_port_without_listener_is_an_error() -> None:
    """A port without listener is an error, and not even the first datagram counts as sent."""
    with UdpSender(("127.0.0.1", free_port(socket.SOCK_DGRAM))) as sender:
        sender.send(b"A,1")
        with pytest.raises(SendError, match="nothing listens for UDP"):
            sender.flush()
        assert sender.lines == 0


def test_lines_without_a_listener_are_counted_as_lost() -> None:
    """A sender that goes on without a listener counts each line as lost."""
    with UdpSender(("127.0.0.1", free_port(socket.SOCK_DGRAM)), goes_on_refused=True) as sender:
        for _ in range(3):
            sender.send(b"A,1")
            sender.flush()
        assert (sender.lines, sender.refused_lines) == (0, 3)


def test_an_unknown_host_is_an_error() -> None:
    """A name that does not resolve is a user-facing error."""
    with pytest.raises(SendError, match="cannot send to nowhere"):
        UdpSender(("nowhere.invalid", 5005))


def test_batches_are_posted_as_csv_within_the_limit_and_confirmed() -> None:
    """Each line is in one request of at most 256 KiB, each with its own key."""
    lines = LINES * 3
    with http_receiver() as receiver:
        with HttpSender(f"{receiver.url}/ingest") as sender:
            for line in lines:
                sender.send(line)
            assert sender.lines < len(lines)
            sender.flush()
            assert (sender.lines, sender.units) == (len(lines), len(receiver.requests))
        bodies = [request.body for request in receiver.requests]
        assert b"".join(bodies).splitlines() == lines
        assert len(bodies) > 1
        assert max(map(len, bodies)) <= MAX_BODY_BYTES
        assert {request.headers["content-type"] for request in receiver.requests} == {"text/csv"}
        assert {request.path for request in receiver.requests} == {"/ingest"}
        assert len({request.headers["idempotency-key"] for request in receiver.requests}) == len(
            bodies
        )


def test_a_503_is_retried_with_the_same_key() -> None:
    """After a 503 the batch is sent again with its key when Retry-After allows."""
    with http_receiver() as receiver:
        receiver.answers = [
            Answer(503, headers={"Retry-After": "0"}),
            Answer(503, headers={"Retry-After": "1"}),
            Answer(502),
        ]
        with HttpSender(receiver.url) as sender:
            sender.send(b"A,1")
            sender.flush()
            assert (sender.lines, sender.units, sender.repeats) == (1, 1, 3)
        assert len(receiver.requests) == 4
        assert len({(r.body, r.headers["idempotency-key"]) for r in receiver.requests}) == 1


def test_a_lost_connection_is_retried_with_the_same_key() -> None:
    """A request without a response is sent again with its key, since it may have been accepted."""
    keys = []

    def answer(request: httpx.Request) -> httpx.Response:
        keys.append(request.headers["Idempotency-Key"])
        if len(keys) == 1:
            raise httpx.ReadError("connection reset")
        return httpx.Response(202)

    with HttpSender("http://ingest.test/", transport=httpx.MockTransport(answer)) as sender:
        sender.send(b"A,1")
        sender.flush()
        assert sender.lines == 1
    assert len(keys) == 2
    assert len(set(keys)) == 1


def test_a_refusal_is_not_repeated_and_its_detail_is_shown() -> None:
    """A 4xx is not retried, and the problem's detail is shown."""
    with http_receiver() as receiver, HttpSender(receiver.url) as sender:
        receiver.otherwise = Answer(413, b'{"title": "Too large", "detail": "at most 4 bytes"}')
        sender.send(b"A,1")
        with pytest.raises(SendError, match="answered 413: at most 4 bytes"):
            sender.flush()
        assert len(receiver.requests) == 1
        assert sender.lines == 0


def test_retries_end_with_the_timeout_or_a_stop() -> None:
    """Retries end with the timeout and when the user stops the sender."""
    url = f"http://127.0.0.1:{free_port()}"
    with HttpSender(url, patience_s=0.05) as sender:
        sender.send(b"A,1")
        with pytest.raises(SendError, match="cannot reach"):
            sender.flush()
    with HttpSender(url, gives_up=lambda: True) as sender:
        sender.send(b"A,1")
        with pytest.raises(SendError, match="is the instance up"):
            sender.flush()
        assert sender.repeats == 0


def test_http_lines_wait_briefly_for_a_batch() -> None:
    """After a short silence lines wait for more, and after a long one they are sent."""
    now = 0.0
    with http_receiver() as receiver, HttpSender(receiver.url, clock=lambda: now) as sender:
        sender.send(b"A,1")
        sender.silence(0.01)
        assert receiver.requests == []
        now = 0.095
        sender.send(b"A,2")
        sender.silence(0.01)
        assert [request.body for request in receiver.requests] == [b"A,1\nA,2\n"]
