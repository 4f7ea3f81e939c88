"""The listener as a process, between real datagrams and a recording HTTP sink."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import urllib.request
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from local.servers.ports import free_port
from local.supervisor.component import tethered
from shared.schema.ticker_pb2 import TickerUpdate
from shared.wire.compression import decompress
from shared.wire.raw_batch import FORMAT_CSV, FORMAT_TICKER, RawBatch
from tests.local.broker.processes import eventually
from tests.local.broker.subscriber import Reply, Subscriber

pytestmark = pytest.mark.processes

ROOT = Path(__file__).parents[3]


class ListenerRun:
    """One listener process, and a socket that sends to it."""

    def __init__(self, sink: str, errors: Path, **environment: str) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]
        self.metrics_port = free_port()
        self._errors = errors
        given = {
            "K_SINK": sink,
            "UDP_PORT": str(self.port),
            "METRICS_PORT": str(self.metrics_port),
        }
        with errors.open("wb") as stderr:
            self.process = subprocess.Popen(
                tethered([sys.executable, "-m", "functions.udp_bridge.listener"]),
                cwd=ROOT,
                env={**os.environ, **given, **environment},
                stderr=stderr,
            )
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.connect(("127.0.0.1", self.port))
        eventually(lambda: "listening on udp" in self.said())

    def said(self) -> str:
        return self._errors.read_text()

    def metrics(self) -> dict[str, int]:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.metrics_port}/metrics") as answer:
            lines = answer.read().decode().splitlines()
        pairs = (line.rsplit(" ", 1) for line in lines if line.startswith("kandle_udp"))
        return {name.removeprefix("kandle_udp_"): int(float(value)) for name, value in pairs}

    def send(self, payloads: list[bytes], at_once: int) -> None:
        """Send as many at once as fit a small receive buffer, until each was read."""
        before = self.metrics()["datagrams_total"]
        for start in range(0, len(payloads), at_once):
            for payload in payloads[start : start + at_once]:
                self.socket.send(payload)
            sent = before + min(start + at_once, len(payloads))
            eventually(lambda sent=sent: self.metrics()["datagrams_total"] == sent)  # type: ignore[misc]

    def stop(self) -> int:
        self.socket.close()
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(30)


@pytest.fixture
def listener(subscriber: Subscriber, tmp_path: Path) -> Iterator[ListenerRun]:
    started = ListenerRun(subscriber.url, tmp_path / "stderr", BUFFER_BYTES=str(1 << 29))
    yield started
    started.stop()


def payloads(subscriber: Subscriber, format_: int = FORMAT_CSV) -> list[bytes]:
    """All payloads of one format that the sink has, by sequence, without repetitions."""
    found: dict[int, bytes] = {}
    for received in subscriber.received:
        batch = RawBatch.decode(decompress(received.body))
        if batch.format != format_:
            continue
        start = 0
        for i, length in enumerate(batch.lengths.tolist()):
            assert batch.first_sequence + i not in found
            found[batch.first_sequence + i] = batch.payloads[start : start + length]
            start += length
    assert sorted(found) == list(range(len(found)))
    return [found[number] for number in sorted(found)]


def test_a_stopped_listener_sends_all_it_has(listener: ListenerRun, subscriber: Subscriber) -> None:
    """After SIGTERM all datagrams in socket, batch and outbox are sent before the end."""
    sent = [b"A,%d" % i for i in range(2_000)]
    listener.send(sent[:-200], at_once=200)
    for payload in sent[-200:]:
        listener.socket.send(payload)
    assert listener.stop() == 0
    assert payloads(subscriber) == sent
    assert "dropped" not in listener.said()


def test_an_open_batch_is_sent_when_it_is_due(
    listener: ListenerRun, subscriber: Subscriber
) -> None:
    """A lone datagram is sent when its batch is due, also an empty or a large one."""
    for payload in (b"A,1", b"", b"x" * 65_507):
        listener.socket.send(payload)
        eventually(lambda last=payload: payloads(subscriber)[-1:] == [last])  # type: ignore[misc]
    counts = eventually(lambda: m if (m := listener.metrics())["sent_datagrams_total"] == 3 else {})
    assert counts["datagrams_total"] == 3
    assert counts["bytes_total"] == 3 + 65_507
    assert counts['dropped_datagrams_total{where="kernel"}'] == 0


def test_a_batch_is_sent_when_no_more_comes(subscriber: Subscriber, tmp_path: Path) -> None:
    """Datagrams within a fifth of BATCH_MS of each other are one event, sent long before it."""
    run = ListenerRun(subscriber.url, tmp_path / "stderr", BATCH_MS="10000")
    try:
        run.send([b"A,%d" % number for number in range(5)], at_once=1)
        eventually(lambda: len(payloads(subscriber)) == 5, 8)
        assert len(subscriber.received) == 1
    finally:
        run.stop()


def test_a_batch_grows_while_the_sink_has_not_answered(
    listener: ListenerRun, subscriber: Subscriber
) -> None:
    """Datagrams that arrive before the sink's response become one event after it."""
    subscriber.is_away = True
    sent = [b"A,%d" % i for i in range(60)]
    listener.send(sent[:1], at_once=1)
    eventually(lambda: listener.metrics()["buffered_bytes"] > 0)
    listener.send(sent[1:], at_once=10)
    assert subscriber.received == []
    subscriber.is_away = False
    eventually(lambda: payloads(subscriber) == sent)
    assert len(subscriber.received) == 2


def test_lines_and_ticker_updates_share_the_port(
    listener: ListenerRun, subscriber: Subscriber
) -> None:
    """Lines and TickerUpdates of one port go into batches of their own format, in order."""
    lines = [b"A,%d" % i for i in range(1, 200)]
    updates = [TickerUpdate(symbol="B", price=i).SerializeToString() for i in range(1, 200)]
    for line, update in zip(lines, updates, strict=True):
        listener.socket.send(line)
        listener.socket.send(update)
    assert listener.stop() == 0
    assert payloads(subscriber, FORMAT_CSV) == lines
    assert payloads(subscriber, FORMAT_TICKER) == updates


def test_kernel_drops_are_counted_and_logged(listener: ListenerRun, subscriber: Subscriber) -> None:
    """Datagrams that the kernel dropped are counted: received and dropped equal sent."""
    listener.process.send_signal(signal.SIGSTOP)
    for _ in range(3000):
        listener.socket.send(b"x" * 60_000)
    listener.process.send_signal(signal.SIGCONT)

    def accounted() -> dict[str, int]:
        counts = listener.metrics()
        lost = counts['dropped_datagrams_total{where="kernel"}']
        return counts if counts["datagrams_total"] + lost == 3000 else {}

    counts = eventually(accounted, 30)
    lost = counts['dropped_datagrams_total{where="kernel"}']
    assert 0 < lost < 3000
    assert listener.stop() == 0
    assert len(payloads(subscriber)) == 3000 - lost
    assert "datagrams dropped: the receive buffer was full" in listener.said()


def test_datagrams_over_the_buffer_are_dropped_and_logged(
    subscriber: Subscriber, tmp_path: Path
) -> None:
    """While the sink is away datagrams over BUFFER_BYTES are dropped, counted and logged."""
    subscriber.script = _Away()
    listener = ListenerRun(
        subscriber.url, tmp_path / "stderr", BUFFER_BYTES=str(8 << 20), BATCH_BYTES="60000"
    )
    noise = os.urandom(50_000)
    try:
        listener.send([noise] * 300, at_once=2)
        dropped = 'dropped_datagrams_total{where="outbox_full"}'
        assert eventually(lambda: listener.metrics()[dropped] >= 70, 30)
        assert listener.metrics()["buffered_bytes"] <= 8 << 20
        subscriber.script = {}
        eventually(lambda: listener.metrics()["buffered_bytes"] == 0, 30)
        assert listener.stop() == 0
    finally:
        listener.stop()
    assert "datagrams dropped: BUFFER_BYTES are full" in listener.said()
    taken = Counter(r.id for r in subscriber.received)
    assert len(taken) >= 15


class _Away(dict[str, list[Reply]]):
    """A sink that refuses every event."""

    def get(self, key: str, default: object = None) -> list[Reply]:
        return [Reply(503)]


def test_the_extensions_of_the_sink_binding_are_on_every_event(
    subscriber: Subscriber, tmp_path: Path
) -> None:
    """Each event has the extensions of K_CE_OVERRIDES, as a SinkBinding injects it."""
    overrides = '{"extensions": {"team": "trading"}}'
    listener = ListenerRun(subscriber.url, tmp_path / "stderr", K_CE_OVERRIDES=overrides)
    listener.socket.send(b"A,1")
    assert listener.stop() == 0
    assert [r.headers["ce-team"] for r in subscriber.received] == ["trading"]


def test_bad_settings_are_reported_together(tmp_path: Path) -> None:
    """All bad settings are reported, one line each, and the process ends."""
    environment = {**os.environ, "UDP_FORMAT": "json", "UDP_PORT": "0", "K_SINK": ""}
    ended = subprocess.run(
        [sys.executable, "-m", "functions.udp_bridge.listener"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 1
    assert "UDP_FORMAT: 'json' is none of auto, csv, ticker" in ended.stderr
    assert "UDP_PORT='0'" in ended.stderr
    assert "K_SINK is not set" in ended.stderr
