"""The event adapter under functions-framework, as a process of its own with a real sink."""

from __future__ import annotations

import base64
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

import httpx
import pytest

from local.servers.ports import free_port
from local.supervisor.component import tethered
from shared.wire.compression import compress
from tests.local.broker.processes import eventually
from tests.local.broker.subscriber import Reply, Subscriber

pytestmark = pytest.mark.processes

SOURCE = Path(__file__).with_name("scripted.py")


class Function:
    """The scripted function's process and its addresses."""

    def __init__(self, directory: Path, subscriber: Subscriber, sink: str, **settings: str) -> None:
        self.subscriber = subscriber
        self.log = directory / "log"
        self.note = directory / "note"
        self.away = directory / "away"
        self.hold = directory / "hold"
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        with self.log.open("w") as log:
            self.process = self._started(port, sink, log, settings)

    def _started(
        self, port: int, sink: str, log: TextIO, settings: dict[str, str]
    ) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            tethered(
                [
                    *(sys.executable, "-m", "uvicorn", "functions_framework.aio:app"),
                    *("--host", "127.0.0.1", "--port", str(port), "--log-level", "warning"),
                    *("--timeout-graceful-shutdown", "8"),
                ]
            ),
            env={
                **os.environ,
                "FUNCTION_SOURCE": str(SOURCE),
                "FUNCTION_TARGET": "scripted",
                "FUNCTION_SIGNATURE_TYPE": "http",
                "K_SINK": sink,
                "K_CE_OVERRIDES": '{"extensions": {"region": "eu"}}',
                "K_SERVICE": "scripted",
                "DEAD_LETTER_URL": f"{self.subscriber.url}/sink",
                "NOTE": str(self.note),
                "HOLD": str(self.hold),
                **settings,
            },
            stderr=log,
        )

    def send(self, event_id: str, body: bytes = b"body", **attributes: str) -> httpx.Response:
        headers = {
            "ce-specversion": "1.0",
            "ce-id": event_id,
            "ce-type": "test",
            "ce-source": "/test",
            "content-type": "application/protobuf",
            **{f"ce-{name}": value for name, value in attributes.items()},
        }
        return httpx.post(self.url, headers=headers, content=body, timeout=30)

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(60)


def started(function: Function) -> Function:
    def live() -> bool:
        try:
            return httpx.get(f"{function.url}/health/liveness").status_code == 200
        except httpx.TransportError:
            return False

    eventually(live)
    return function


@pytest.fixture(scope="module")
def subscriber() -> Iterator[Subscriber]:
    subscriber = Subscriber()
    yield subscriber
    subscriber.close()


@pytest.fixture(scope="module")
def function(
    tmp_path_factory: pytest.TempPathFactory, subscriber: Subscriber
) -> Iterator[Function]:
    function = started(
        Function(tmp_path_factory.mktemp("f"), subscriber, f"{subscriber.url}/events")
    )
    yield function
    function.stop()


def test_success_is_204_with_an_empty_body(function: Function) -> None:
    """Success is 204 without a body: the broker takes any other body for a failed reply."""
    answer = function.send("ok-1")
    assert (answer.status_code, answer.content) == (204, b"")


def test_structured_mode_is_accepted(function: Function) -> None:
    """Structured events, as `kn func invoke` sends them, are accepted."""
    event = {
        "specversion": "1.0",
        "id": "s-1",
        "type": "test",
        "source": "/t",
        "behave": "emit-one",
    }
    event["data_base64"] = base64.b64encode(b"\x00\xff").decode()
    answer = httpx.post(
        function.url, json=event, headers={"content-type": "application/cloudevents+json"}
    )
    assert answer.status_code == 204
    (out,) = function.subscriber.wait_for("s-1/scripted")
    assert out.body == b"\x00\xff"


def test_a_compressed_body_is_decompressed(function: Function) -> None:
    """A body that `datacontentencoding` calls zstd is decompressed for the handler."""
    function.send("z-1", compress(b"ticks"), behave="emit-one", datacontentencoding="zstd")
    (out,) = function.subscriber.wait_for("z-1/scripted")
    assert out.body == b"ticks"


def test_outputs_are_accepted_before_the_response(function: Function) -> None:
    """Outputs are accepted by the sink before the response.

    They have deterministic ids, the source, the SinkBinding's overrides and the traceparent.
    """
    trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    assert function.send("e-1", behave="emit", traceparent=trace).status_code == 204
    for n in range(3):
        (out,) = function.subscriber.of(f"e-1/scripted/{n}")
        assert out.headers["ce-source"] == "/kandle/scripted"
        assert out.headers["ce-region"] == "eu"
        assert out.headers["ce-traceparent"] == trace


def test_an_empty_traceparent_is_ignored(function: Function) -> None:
    """An empty traceparent, which the broker often sends, is ignored."""
    function.send("t-1", behave="emit-one", traceparent="")
    (out,) = function.subscriber.wait_for("t-1/scripted")
    assert "ce-traceparent" not in out.headers


def test_a_failed_output_is_retried_under_its_id(
    function: Function,
) -> None:
    """An output that the sink refuses twice is retried under its id, and the response is 204."""
    function.subscriber.script["r-1/scripted"] = [Reply(503), Reply(503), Reply(202)]
    assert function.send("r-1", behave="emit-one").status_code == 204
    assert len(function.subscriber.of("r-1/scripted")) == 3


def test_an_unreachable_sink_is_503_without_an_applied_marker(function: Function) -> None:
    """If the sink stays away the response is 503 and the event is not marked as applied."""
    function.subscriber.script["a-1/scripted"] = [Reply(500)]
    answer = function.send("a-1", behave="emit-then-note")
    assert answer.status_code == 503
    assert "did not take the event: answered 500" in answer.text
    assert not function.note.exists()
    function.subscriber.script["a-1/scripted"] = [Reply(202)]
    assert function.send("a-1", behave="emit-then-note").status_code == 204
    assert function.note.read_text() == "a-1"


def test_a_transient_error_is_503(function: Function) -> None:
    """A transient error is 503, so that the channel redelivers."""
    answer = function.send("x-1", behave="transient")
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "7")
    assert answer.text == "the store is away"


def test_a_permanent_error_is_recorded_whole_and_answered_204(function: Function) -> None:
    """A permanent error is 204 and a dead letter with event, id, replay address and error."""
    answer = function.send("p-1", b"\x00poison", behave="permanent", shard="3")
    assert answer.status_code == 204
    letter = function.subscriber.dead_letter("p-1")
    assert letter.body == b"\x00poison"
    assert letter.headers["ce-shard"] == "3"
    assert letter.headers["content-type"] == "application/protobuf"
    assert letter.headers["ce-knativeerrordest"] == "http://scripted.default.svc.cluster.local"
    error = base64.b64decode(letter.headers["ce-knativeerrordata"])
    assert error == b"bad_batch: the body is not a batch"


def test_a_permanent_error_that_cannot_be_recorded_is_503(function: Function) -> None:
    """A permanent error is 503 if the dead letter is refused: the event stays in the channel."""
    function.subscriber.sink_script["p-2"] = [Reply(503)]
    assert function.send("p-2", behave="permanent").status_code == 503


def test_an_unexpected_exception_is_500(function: Function) -> None:
    """An unexpected exception is 500: the event is redelivered, in the end dead-lettered."""
    answer = function.send("d-1", behave="defect")
    assert (answer.status_code, answer.text) == (500, "ZeroDivisionError: a defect")


def test_a_request_that_is_no_event_is_4xx(function: Function) -> None:
    """A request that is not an event is refused with a reason."""
    answer = httpx.post(function.url, content=b"hello")
    assert answer.status_code == 400
    assert "no CloudEvent" in answer.text
    batch = httpx.post(
        function.url, content=b"[]", headers={"content-type": "application/cloudevents-batch+json"}
    )
    assert batch.status_code == 400
    assert "batch mode" in batch.text


def test_a_body_over_the_limit_is_413(function: Function) -> None:
    """A body over the limit is 413, so that memory stays bounded."""
    assert function.send("big", bytes(1024 * 1024 + 1)).status_code == 413


def test_probes_stay_live_while_all_workers_are_busy(function: Function) -> None:
    """Probes and scrapes are answered while `concurrency` (2) events are in flight."""
    function.hold.touch()
    threads = [
        threading.Thread(target=function.send, args=(f"held-{n}",), kwargs={"behave": "held"})
        for n in range(4)
    ]
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + 30
    while len(at_work := list(function.hold.parent.glob("hold.*"))) < 2:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert httpx.get(f"{function.url}/health/liveness").status_code == 200
    assert 'kandle_events_received_total{outcome="ok"' in httpx.get(f"{function.url}/metrics").text
    some = httpx.get(f"{function.url}/metrics", params={"name[]": ["kandle_ticks_total"]}).text
    assert [line for line in some.splitlines() if line[0] != "#"] == ["kandle_ticks_total 0.0"]
    assert all(thread.is_alive() for thread in threads)
    assert sorted(function.hold.parent.glob("hold.*")) == sorted(at_work)
    function.hold.unlink()
    for thread in threads:
        thread.join()
    assert len(list(function.hold.parent.glob("hold.*"))) == 4


def test_readiness_follows_the_stores(function: Function) -> None:
    """Readiness is 503 with the reason while a store is away, and liveness stays 200."""
    assert httpx.get(f"{function.url}/health/readiness").status_code == 200
    function.away.touch()
    try:
        answer = httpx.get(f"{function.url}/health/readiness")
        assert (answer.status_code, answer.text) == (503, "not ready: Redis is away\n")
        assert httpx.get(f"{function.url}/health/liveness").status_code == 200
    finally:
        function.away.unlink()


def test_sigterm_finishes_events_in_flight(tmp_path: Path, subscriber: Subscriber) -> None:
    """After SIGTERM an event in flight is answered 204 before the process ends."""
    function = started(Function(tmp_path, subscriber, f"{subscriber.url}/events"))
    answers: list[httpx.Response] = []
    function.hold.touch()
    sender = threading.Thread(
        target=lambda: answers.append(function.send("drain-1", behave="held"))
    )
    sender.start()
    while not function.hold.with_name("hold.drain-1").exists():
        time.sleep(0.01)
    function.process.send_signal(signal.SIGTERM)
    function.hold.unlink()
    sender.join()
    assert [answer.status_code for answer in answers] == [204]
    assert function.process.wait(60) in (0, -signal.SIGTERM)


def test_without_a_sink_a_single_output_is_the_reply(
    tmp_path: Path, subscriber: Subscriber
) -> None:
    """Without a sink a single output is the reply, as `kn func invoke` shows it.

    Several outputs need a SinkBinding.
    """
    function = started(Function(tmp_path, subscriber, sink=""))
    try:
        answer = function.send("i-1", behave="emit-one")
        assert (answer.status_code, answer.content) == (200, b"body")
        assert answer.headers["ce-id"] == "i-1/scripted"
        refused = function.send("i-2", behave="emit")
        assert refused.status_code == 500
        assert "K_SINK is not set" in refused.text
    finally:
        function.stop()
