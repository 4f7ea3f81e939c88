"""The receiver in one process, between a real socket and a recording HTTP sink."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from functions.udp_bridge import receiver
from functions.udp_bridge.datagrams import Datagrams, PlainReader
from functions.udp_bridge.receiver import Receiver
from functions.udp_bridge.udp_socket import bind
from shared.adapter.sink import Sink
from shared.runtime import metrics
from shared.sources.batcher import Batcher, Limits
from shared.sources.outbox import Outbox
from shared.wire.compression import decompress
from shared.wire.raw_batch import FORMAT_CSV, RawBatch
from tests.local.broker.processes import eventually
from tests.local.broker.subscriber import Subscriber

LONG_S = 600.0
"""Longer than any test waits."""


class _Noted(PlainReader):
    """A reader that notes how many datagrams it has read."""

    count = 0

    def read(self) -> Datagrams | None:
        datagrams = super().read()
        self.count += len(datagrams or ())
        return datagrams


def received(
    subscriber: Subscriber, steps: Callable[[socket.socket, _Noted, Receiver], None]
) -> list[bytes]:
    """Run a receiver beside the steps of a sender; return the payloads of each event."""

    async def whole() -> None:
        with bind("127.0.0.1", 0) as sock, socket.socket(type=socket.SOCK_DGRAM) as sender:
            sender.connect(sock.getsockname())
            outbox = Outbox(
                Sink(subscriber.url, "/test"),
                max_bytes=1 << 20,
                sent=metrics.UDP_SENT,
                buffered=metrics.UDP_BUFFERED,
            )
            batcher = Batcher("udp-1", Limits(age_us=int(LONG_S * 5e6)), FORMAT_CSV)
            reader = _Noted(sock)
            running = Receiver(sock, reader, [batcher], lambda each: [each], outbox)
            with ThreadPoolExecutor(1) as beside:
                done = beside.submit(steps, sender, reader, running)
                await running.run()
                done.result()
            assert await outbox.close(30) == 0

    asyncio.run(whole())
    return [RawBatch.decode(decompress(each.body)).payloads for each in subscriber.received]


def test_a_lone_datagram_waits_for_no_timer(
    subscriber: Subscriber, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A datagram that nothing follows is sent at once, however long a lull lasts."""
    monkeypatch.setattr(receiver, "SHORTEST_LULL_S", LONG_S)

    def steps(sender: socket.socket, reader: _Noted, running: Receiver) -> None:
        sender.send(b"A,1")
        eventually(lambda: len(subscriber.received) == 1)
        running.stop()
        sender.send(b"A,2")

    assert received(subscriber, steps) == [b"A,1", b"A,2"]


def test_datagrams_that_follow_each_other_are_one_batch(
    subscriber: Subscriber, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A datagram that another one follows waits for the lull: a burst is one event."""
    monkeypatch.setattr(receiver, "SHORTEST_LULL_S", LONG_S)
    monkeypatch.setattr(receiver, "ALONE_S", LONG_S)

    def steps(sender: socket.socket, reader: _Noted, running: Receiver) -> None:
        for number in range(1, 3):
            sender.send(b"A,%d" % number)
            eventually(lambda number=number: reader.count == number)  # type: ignore[misc]
        running.stop()

    assert received(subscriber, steps) == [b"A,1A,2"]
