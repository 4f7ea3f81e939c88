"""Display events survive a broker's refusals: they are posted once it accepts events again."""

from __future__ import annotations

import asyncio
from contextlib import closing
from pathlib import Path

import pytest

from shared.adapter.display import MAX_WAITING_BYTES, PATIENCE_S, Display
from shared.adapter.event import OutgoingEvent
from shared.adapter.identity import Identity
from shared.adapter.sink import Sink
from shared.runtime import metrics
from tests.local.broker.processes import until
from tests.local.broker.subscriber import Reply, Subscriber


def counted(outcome: str) -> float:
    """The current value of the counter."""
    return metrics.DISPLAY_EVENTS.labels(outcome)._value.get()  # type: ignore[no-any-return]


def test_refused_display_events_are_retried() -> None:
    """An event that is refused three times is accepted afterwards, once, and none is dropped."""

    async def test(subscriber: Subscriber) -> None:
        sink = Sink(subscriber.url, "/test")
        before = counted("accepted")
        Display(sink).offer([OutgoingEvent(f"e-{n}", "t", b"x") for n in range(40)])
        await until(lambda: counted("accepted") == before + 40)
        await sink.close()

    with closing(Subscriber()) as subscriber:
        for n in range(40):
            subscriber.script[f"e-{n}"] = [Reply(500), Reply(500), Reply(503), Reply(202)]
        asyncio.run(test(subscriber))
        assert [len(subscriber.of(f"e-{n}")) for n in range(40)] == [4] * 40


def test_the_newest_is_posted_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """The newest event is posted first, also after refusals."""
    monkeypatch.setattr("shared.adapter.display.MAX_UNDER_WAY", 1)

    async def test(subscriber: Subscriber) -> None:
        sink = Sink(subscriber.url, "/test")
        before = counted("accepted")
        Display(sink).offer([OutgoingEvent(f"n-{n}", "t", b"x") for n in range(5)])
        await until(lambda: counted("accepted") == before + 5)
        await sink.close()

    with closing(Subscriber()) as subscriber:
        subscriber.script["n-4"] = [Reply(503), Reply(202)]
        asyncio.run(test(subscriber))
        assert [each.id for each in subscriber.received] == [
            *("n-4", "n-4", "n-3", "n-2", "n-1", "n-0")
        ]


def test_waiting_display_events_are_bounded() -> None:
    """The oldest waiting events are dropped over the bound: four of 20 sixteenths."""

    async def test(subscriber: Subscriber) -> None:
        sink = Sink(subscriber.url, "/test")
        dropped, accepted = counted("dropped"), counted("accepted")
        part = bytes(MAX_WAITING_BYTES // 16)
        Display(sink).offer([OutgoingEvent(f"b-{n}", "t", part) for n in range(20)])
        assert counted("dropped") == dropped + 4
        await until(lambda: counted("accepted") == accepted + 16)
        await sink.close()

    with closing(Subscriber()) as subscriber:
        asyncio.run(test(subscriber))
        assert [len(subscriber.of(f"b-{n}")) for n in range(20)] == [0] * 4 + [1] * 16


def test_expired_display_events_are_dropped() -> None:
    """An event that has waited too long for a screen is dropped, and the next one is posted."""
    now_s = 0.0

    async def test(subscriber: Subscriber) -> None:
        nonlocal now_s
        sink = Sink(subscriber.url, "/test")
        display = Display(sink, lambda: now_s)
        dropped, accepted = counted("dropped"), counted("accepted")
        display.offer([OutgoingEvent("old", "t", b"x")])
        now_s = PATIENCE_S + 1
        display.offer([OutgoingEvent("fresh", "t", b"x")])
        await until(lambda: counted("accepted") == accepted + 1)
        await until(lambda: counted("dropped") == dropped + 1)
        await sink.close()

    with closing(Subscriber()) as subscriber:
        asyncio.run(test(subscriber))
        assert [each.id for each in subscriber.received] == ["fresh"]


def test_display_has_a_token_of_its_own(tmp_path: Path) -> None:
    """The display broker gets its own token, never that of the SinkBinding."""
    for name in ("sink", "display"):
        (tmp_path / name).write_text(name)
    tokens = {
        "OIDC_TOKEN_FILE": str(tmp_path / "sink"),
        "DISPLAY_TOKEN_FILE": str(tmp_path / "display"),
    }

    async def test(subscriber: Subscriber) -> None:
        sink = Sink(subscriber.url, "/test", identity=Identity.for_display(tokens))
        before = counted("accepted")
        Display(sink).offer([OutgoingEvent("secret", "t", b"x")])
        await until(lambda: counted("accepted") == before + 1)
        await sink.close()

    with closing(Subscriber()) as subscriber:
        asyncio.run(test(subscriber))
        (received,) = subscriber.received
        assert received.headers["authorization"] == "Bearer display"
