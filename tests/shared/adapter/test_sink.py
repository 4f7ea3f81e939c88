"""Refusals of a sink are counted by status; the alert on a broker's 5xx reads the metric."""

from __future__ import annotations

import asyncio
from contextlib import closing
from itertools import pairwise

import pytest

from shared.adapter import sink as sink_module
from shared.adapter.sink import Sink
from shared.errors import TransientError
from shared.runtime import metrics
from tests.local.broker.subscriber import Reply, Subscriber


def refused(source: str, status: str) -> float:
    """The current value of the counter."""
    return metrics.SINK_REFUSED.labels(source, status)._value.get()  # type: ignore[no-any-return]


async def post(url: str, source: str, event_id: str) -> None:
    """Post one event."""
    sink = Sink(url, source)
    try:
        await sink.post({"ce-id": event_id}, b"x")
    finally:
        await sink.close()


def test_an_ingress_that_answers_500_is_counted_at_each_attempt() -> None:
    """Each attempt that is answered 500 is counted, as when a Ready broker has lost NATS."""
    with closing(Subscriber()) as subscriber:
        subscriber.script["e-1"] = [Reply(500), Reply(500), Reply(202)]
        asyncio.run(post(subscriber.url, "/test/500", "e-1"))
        assert refused("/test/500", "500") == 2
        subscriber.script["e-2"] = [Reply(202)]
        asyncio.run(post(subscriber.url, "/test/500", "e-2"))
        assert refused("/test/500", "500") == 2


def test_every_retry_comes_after_a_pause() -> None:
    """A pause precedes each retry, also the first: a broker that restarts needs the time."""
    with closing(Subscriber()) as subscriber:
        subscriber.script["e-4"] = [Reply(503), Reply(503), Reply(202)]
        asyncio.run(post(subscriber.url, "/test/pause", "e-4"))
        at = [each.at for each in subscriber.of("e-4")]
    assert [later - earlier >= 0.05 for earlier, later in pairwise(at)] == [True, True]


def test_the_bound_counts_the_first_attempt(monkeypatch: pytest.MonkeyPatch) -> None:
    """A first attempt that takes all the time is not followed by another."""
    monkeypatch.setattr(sink_module, "RETRIES_WITHIN_S", 0.2)
    with closing(Subscriber()) as subscriber:
        subscriber.script["e-5"] = [Reply(503, delay=0.25), Reply(202)]
        with pytest.raises(TransientError, match="answered 503"):
            asyncio.run(post(subscriber.url, "/test/bound", "e-5"))
        assert len(subscriber.of("e-5")) == 1


def test_an_unreachable_sink_is_counted() -> None:
    """An unreachable sink is counted as no answer, and the caller gets the error."""
    with pytest.raises(TransientError, match="did not take the event"):
        asyncio.run(post("http://127.0.0.1:9/", "/test/away", "e-3"))
    assert refused("/test/away", "none") == 4
