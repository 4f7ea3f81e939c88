"""The outbox over a real HTTP sink that goes away and comes back."""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections.abc import Awaitable, Callable

import pytest

from local.servers.ports import free_port
from shared.adapter.event import OutgoingEvent
from shared.adapter.sink import Sink
from shared.runtime import metrics
from shared.sources.batcher import Batch
from shared.sources.outbox import Outbox
from shared.wire.compression import decompress
from shared.wire.raw_batch import FORMAT_CSV, RawBatch
from tests.local.broker.processes import until
from tests.local.broker.subscriber import Reply, Subscriber


def batch(number: int, payload: bytes = b"A,1") -> Batch:
    return Batch(f"udp-1-{number}", FORMAT_CSV, "udp-1", number, payload, [len(payload)], [1])


def opened(url: str, max_bytes: int) -> Outbox:
    return Outbox(
        Sink(url, "/test"),
        max_bytes=max_bytes,
        sent=metrics.UDP_SENT,
        buffered=metrics.UDP_BUFFERED,
    )


def run(url: str, steps: Callable[[Outbox], Awaitable[None]], max_bytes: int = 1 << 20) -> int:
    """Run the steps, then close; return the number of payloads that were lost."""

    async def whole() -> int:
        outbox = opened(url, max_bytes)
        await steps(outbox)
        return await outbox.close(30)

    return asyncio.run(whole())


def test_every_batch_is_sent_whole_under_its_id(subscriber: Subscriber) -> None:
    """Each event equals its batch, and closing waits for those in flight."""

    async def steps(outbox: Outbox) -> None:
        for number in range(50):
            assert outbox.put(batch(number, b"A,%d" % number))

    assert run(subscriber.url, steps) == 0
    found = {r.id: RawBatch.decode(decompress(r.body)).payloads for r in subscriber.received}
    assert found == {f"udp-1-{n}": b"A,%d" % n for n in range(50)}
    assert len(subscriber.received) == 50


def test_a_refused_batch_is_resent_under_its_id(
    subscriber: Subscriber,
) -> None:
    """A refused batch is sent again with the same id and bytes, and no other batch waits for it."""
    subscriber.script["udp-1-0"] = [Reply(503), Reply(500), Reply(429), Reply(202)]

    async def steps(outbox: Outbox) -> None:
        assert outbox.put(batch(0))
        assert outbox.put(batch(1))

    assert run(subscriber.url, steps) == 0
    assert len({r.body for r in subscriber.of("udp-1-0")}) == 1
    assert len(subscriber.of("udp-1-0")) == 4
    assert len(subscriber.of("udp-1-1")) == 1


def test_no_accepted_batch_is_lost_while_the_sink_is_away(
    subscriber: Subscriber, caplog: pytest.LogCaptureFixture
) -> None:
    """While the sink is away batches within the bound are stored and the rest refused at once."""
    for number in range(8):
        subscriber.script[f"udp-1-{number}"] = [Reply(503)] * 6 + [Reply(202)]
    accepted_count: list[str] = []

    async def steps(outbox: Outbox) -> None:
        payload = bytes(range(256)) * 4
        accepted_count.extend(f"udp-1-{n}" for n in range(8) if outbox.put(batch(n, payload)))
        # Compression makes room while the sink is still away.
        await until(lambda: outbox.put(batch(8, payload)))
        accepted_count.append("udp-1-8")

    with caplog.at_level(logging.WARNING):
        assert run(subscriber.url, steps, max_bytes=6 * 1024) == 0
    assert accepted_count == [f"udp-1-{number}" for number in (0, 1, 2, 3, 4, 8)]
    assert {r.id for r in subscriber.received} == set(accepted_count)
    assert "is not taken yet" in caplog.text


def test_empty_datagrams_count_against_the_bound(subscriber: Subscriber) -> None:
    """Empty datagrams count against the bound on memory."""
    empty = Batch("udp-1-0", FORMAT_CSV, "udp-1", 0, b"", [0] * 1000, [1] * 1000)

    async def steps(outbox: Outbox) -> None:
        assert not outbox.put(empty)

    assert run(subscriber.url, steps, max_bytes=10_000) == 0


def test_close_returns_the_lost_payloads() -> None:
    """If nothing listens, closing returns the number of lost payloads."""

    async def whole() -> int:
        outbox = opened(f"http://127.0.0.1:{free_port()}", 1 << 20)
        assert outbox.put(batch(0))
        assert outbox.put(batch(1))
        return await outbox.close(0.05)

    assert asyncio.run(whole()) == 2


def test_batches_are_confirmed_in_order(subscriber: Subscriber) -> None:
    """An accepted batch is confirmed only after all earlier ones."""
    subscriber.script["udp-1-0"] = [Reply(503)] * 5 + [Reply(202)]
    taken_first: list[int] = []

    async def steps(outbox: Outbox) -> None:
        assert outbox.put(batch(0))
        assert outbox.put_event(OutgoingEvent.packed("gap-1", "dev.kandle.gap.v1", b"x"))
        assert outbox.put_count == 2
        await until(lambda: bool(subscriber.of("gap-1")))
        taken_first.append(outbox.accepted_count)
        await outbox.until_accepted(2)
        assert outbox.accepted_count == 2

    assert run(subscriber.url, steps) == 0
    assert taken_first == [0]
    assert len(subscriber.of("udp-1-0")) == 6


@pytest.mark.parametrize(
    ("events", "took_s", "busy_s"),
    [(1, 0.004, 0), (2, 0.004, 0.012), (9, 0.004, 0.024), (5, 0.001, 0), (1, 1.0, 0)],
)
def test_the_broker_rests_after_each_response(
    subscriber: Subscriber, events: int, took_s: float, busy_s: float
) -> None:
    """The next event waits six times as long as the response took, at most 25 ms.

    So payloads that arrive meanwhile share an event. After a pause 25 ms of rest are saved up: what
    follows a burst does not wait.
    """
    now_s = itertools.count(1000)

    async def whole() -> None:
        outbox = Outbox(
            Sink(subscriber.url, "/test"),
            max_bytes=1 << 20,
            sent=metrics.UDP_SENT,
            buffered=metrics.UDP_BUFFERED,
            clock=lambda: next(now_s) * took_s,
        )
        for number in range(events):
            outbox.put(batch(number))
            assert outbox.is_busy
            await outbox.until_accepted(number + 1)
        busy = list(itertools.takewhile(lambda _: outbox.is_busy, range(100)))
        assert len(busy) * took_s == pytest.approx(busy_s)
        await outbox.close(30)

    asyncio.run(whole())


def test_waiting_for_a_free_broker_has_a_timeout(subscriber: Subscriber) -> None:
    """A wait for a free broker ends with its rest or with the timeout."""

    async def whole() -> None:
        outbox = Outbox(
            Sink(subscriber.url, "/test"),
            max_bytes=1 << 20,
            sent=metrics.UDP_SENT,
            buffered=metrics.UDP_BUFFERED,
        )
        outbox.put(batch(0))
        await outbox.until_free(0.0)
        assert outbox.is_busy
        await outbox.until_free(60.0)
        assert not outbox.is_busy
        await outbox.close(30)

    asyncio.run(whole())
