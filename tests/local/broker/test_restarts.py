"""No accepted event is lost when the broker or NATS dies."""

from __future__ import annotations

import asyncio
import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import nats
import pytest

from tests.local.broker.conftest import StartBroker
from tests.local.broker.manifests import addresses, broker, channel, delivery, service, trigger
from tests.local.broker.processes import NatsServer, eventually, status
from tests.local.broker.subscriber import Reply, Subscriber

pytestmark = pytest.mark.processes


@pytest.fixture
def own_nats(tmp_path: Path) -> Iterator[NatsServer]:
    server = NatsServer(tmp_path)
    server.start()
    yield server
    server.stop()


def test_a_killed_broker_delivers_the_rest_after_its_restart(
    start_broker: StartBroker, subscriber: Subscriber
) -> None:
    """After kill -9 events in flight and in the stream are all delivered."""
    objects = [
        channel("killed", maxAckPending=5),
        broker("killed", "main"),
        trigger("killed", "work", delivery=delivery(timeout="PT1S")),
    ]
    run = start_broker("killed", objects)
    events = [f"killed-{n}" for n in range(20)]
    for event in events:
        subscriber.script[event] = [Reply(204, delay=0.2)]
        assert run.send("killed/main", event, type="work").status_code == 202
    subscriber.wait_for(events[2])
    run.stop(signal.SIGKILL)
    run.start()
    for event in events:
        subscriber.wait_for(event)
    eventually(lambda: run.stats()["triggers"]["killed/work"]["lag"] == 0)


def test_the_last_attempt_that_dies_with_the_broker_is_dead_lettered(
    start_broker: StartBroker, subscriber: Subscriber
) -> None:
    """An event whose last attempt died with the broker is dead-lettered with a warning.

    The real channel loses it.
    """
    objects = [
        channel("last"),
        broker("last", "main"),
        trigger("last", "work", delivery=delivery(retry=0, timeout="PT1.5S")),
    ]
    run = start_broker("last", objects)
    subscriber.script["last-1"] = [Reply(204, delay=1.2)]
    run.send("last/main", "last-1", type="work", body=b"data")
    subscriber.wait_for("last-1")
    run.stop(signal.SIGKILL)
    run.start()
    letter = subscriber.dead_letter("last-1")
    assert letter.body == b"data"
    assert "ce-knativeerrorcode" not in letter.headers
    assert "real channel would have lost it" in run.warned("last-1")
    assert len(subscriber.of("last-1")) == 1


def test_sigterm_lets_deliveries_end(start_broker: StartBroker, subscriber: Subscriber) -> None:
    """After SIGTERM deliveries in flight end and are acknowledged, and the exit code is 0."""
    objects = [
        channel("term"),
        broker("term", "main"),
        trigger("term", "work", delivery=delivery(timeout="PT1S")),
    ]
    run = start_broker("term", objects)
    subscriber.script["term-1"] = [Reply(204, delay=0.5)]
    run.send("term/main", "term-1", type="work")
    subscriber.wait_for("term-1")
    assert run.stop() == 0
    run.start()
    assert run.stats()["triggers"]["term/work"]["lag"] == 0
    assert len(subscriber.of("term-1")) == 1


def test_deliveries_cut_off_by_sigterm_are_redelivered(
    start_broker: StartBroker, subscriber: Subscriber
) -> None:
    """Deliveries cut off by SIGTERM are given back and redelivered at the next start.

    Else they would block all others for an ackWait of five minutes.
    """
    objects = [
        channel("cut", maxAckPending=2),
        broker("cut", "main"),
        trigger("cut", "work", delivery=delivery(timeout="PT5M")),
    ]
    run = start_broker("cut", objects)
    for event in ("cut-1", "cut-2"):
        subscriber.script[event] = [Reply(204, delay=20.0)]
    for event in ("cut-1", "cut-2", "cut-3"):
        run.send("cut/main", event, type="work")
    subscriber.wait_for("cut-2")
    subscriber.wait_for("cut-1")
    assert run.stop() == 0
    for event in ("cut-1", "cut-2"):
        subscriber.script[event] = [Reply(204)]
    run.start()
    subscriber.wait_for("cut-3")
    eventually(lambda: run.stats()["triggers"]["cut/work"]["lag"] == 0)


def test_the_broker_recovers_from_a_nats_restart(
    start_broker: StartBroker, subscriber: Subscriber, own_nats: NatsServer
) -> None:
    """While NATS is away the ingress answers 500, and afterwards it works again."""
    objects = [
        channel("away"),
        broker("away", "main"),
        trigger("away", "work", delivery=delivery(retry=20, timeout="PT1S")),
    ]
    run = start_broker("away", objects, nats_url=own_nats.url)
    taken: list[str] = []
    refused: list[int] = []
    ended = threading.Event()

    def send(sender: int) -> None:
        number = 0
        while not ended.is_set():
            event = f"away-{sender}-{number}"
            answer = run.send("away/main", event, type="work")
            if answer.status_code == 202:
                taken.append(event)
                number += 1
            else:
                refused.append(answer.status_code)
            time.sleep(0.01)

    with ThreadPoolExecutor(4) as pool:
        senders = [pool.submit(send, n) for n in range(4)]
        eventually(lambda: len(taken) > 50)
        own_nats.stop(signal.SIGKILL)
        eventually(lambda: run.send("away/main", "away-x", type="work").status_code == 500)
        before = len(taken)
        own_nats.start()
        eventually(lambda: len(taken) > before + 20)
        ended.set()
        for sender in senders:
            sender.result()
    assert set(refused) == {500}
    for event in taken:
        subscriber.wait_for(event)
    assert run.send("away/main", "away-last", type="work").status_code == 202
    subscriber.wait_for("away-last")


def test_what_somebody_deletes_is_made_again(
    start_broker: StartBroker, subscriber: Subscriber, nats_server: NatsServer
) -> None:
    """A stream or a consumer that is deleted by hand is made again at once, with a loud warning."""
    objects = [channel("deleted"), broker("deleted", "main"), trigger("deleted", "work")]
    run = start_broker("deleted", objects)
    stream = "KN_DELETED__MAIN_KNE_TRIGGER"

    async def delete(what: str) -> None:
        client = await nats.connect(nats_server.url)
        context = client.jetstream()
        if what == "stream":
            await context.delete_stream(stream)
        else:
            (consumer,) = await context.consumers_info(stream)
            await context.delete_consumer(stream, consumer.name)
        await client.close()

    def is_made_again(what: str) -> None:
        words = ("LOSS Broker deleted/main: somebody deleted", what)
        before = len(run.warnings(*words))  # a stream is deleted with its consumers
        asyncio.run(delete(what))
        eventually(lambda: len(run.warnings(*words)) > before)
        event = f"after-{what}"
        eventually(lambda: run.send("deleted/main", event, type="work").status_code == 202)
        subscriber.wait_for(event)

    is_made_again("stream")
    is_made_again("consumer")
    eventually(lambda: run.stats()["triggers"]["deleted/work"]["lag"] == 0)


def test_the_broker_waits_for_nats(
    start_broker: StartBroker, subscriber: Subscriber, own_nats: NatsServer
) -> None:
    """A broker without NATS is live, not ready, answers 500, and is ready with NATS.

    Until then the lag of its Triggers is unknown, and not 0.
    """
    own_nats.stop()
    objects = [channel("early"), broker("early", "main"), trigger("early", "work")]
    run = start_broker("early", objects, nats_url=own_nats.url, ready=False)
    eventually(lambda: status(f"{run.url}/healthz") == 200)
    assert status(f"{run.url}/readyz") == 503
    assert run.send("early/main", "early-1", type="work").status_code == 500
    assert run.stats()["triggers"]["early/work"]["lag"] is None
    assert "kandle_trigger_lag{" not in httpx.get(f"{run.url}/metrics").text
    own_nats.start()
    eventually(lambda: status(f"{run.url}/readyz") == 200)
    run.send("early/main", "early-1", type="work")
    subscriber.wait_for("early-1")
    eventually(lambda: run.stats()["triggers"]["early/work"]["lag"] == 0)
    own_nats.stop(signal.SIGKILL)
    eventually(lambda: status(f"{run.url}/readyz") == 503)
    own_nats.start()
    eventually(lambda: status(f"{run.url}/readyz") == 200)


def test_sigterm_ends_a_broker_without_nats(
    start_broker: StartBroker, own_nats: NatsServer
) -> None:
    """SIGTERM ends a broker that waits for NATS at once with exit code 0."""
    objects = [channel("gone"), broker("gone", "main"), trigger("gone", "work")]
    run = start_broker("gone", objects, nats_url=own_nats.url)
    own_nats.stop(signal.SIGKILL)
    eventually(lambda: run.send("gone/main", "gone-1", type="work").status_code == 500)
    assert len(run.warnings("answers 500")) == 1
    assert run.stop() == 0
    run.start(ready=False)
    eventually(lambda: status(f"{run.url}/healthz") == 200)
    assert run.stop() == 0


def test_a_changed_template_is_applied_to_the_stream(
    start_broker: StartBroker, nats_server: NatsServer
) -> None:
    """A changed maxAge, maxBytes or maxAckPending is applied to the existing stream."""
    objects = [channel("change"), broker("change", "main"), trigger("change", "work")]
    run = start_broker("change", objects)
    run.stop()
    objects[0] = channel("change", stream={"maxAge": "2h", "maxBytes": 1048576}, maxAckPending=7)
    run.write(objects)
    run.start()

    async def read() -> tuple[float | None, int | None, int | None]:
        client = await nats.connect(nats_server.url)
        stream = "KN_CHANGE__MAIN_KNE_TRIGGER"
        config = (await client.jetstream().stream_info(stream)).config
        (consumer,) = await client.jetstream().consumers_info(stream)
        await client.close()
        assert consumer.name.startswith("KN_SUB_")
        assert config.subjects == ["change.main-kne-trigger._knative"]
        return config.max_age, config.max_bytes, consumer.config.max_ack_pending

    assert asyncio.run(read()) == (7200, 1048576, 7)


def test_the_consumer_of_a_removed_trigger_is_deleted(
    start_broker: StartBroker, subscriber: Subscriber, nats_server: NatsServer
) -> None:
    """The consumer of a removed Trigger with waiting events is deleted with a warning."""
    slow = delivery(retry=5, delay="PT30S")
    objects = [
        channel("orphan"),
        broker("orphan", "main"),
        trigger("orphan", "kept", delivery=slow),
        trigger("orphan", "gone", delivery=slow),
    ]
    run = start_broker("orphan", objects)
    subscriber.script["orphan-1"] = [Reply(503)]
    run.send("orphan/main", "orphan-1", type="gone")
    subscriber.wait_for("orphan-1")
    eventually(lambda: run.stats()["triggers"]["orphan/gone"]["retried"] == 1)
    run.stop()
    run.write(objects[:3])
    run.start()
    assert "drain" in run.warned("1 events waited", "orphan/gone")
    assert list(run.stats()["triggers"]) == ["orphan/kept"]


def test_a_trigger_moves_to_another_broker(
    start_broker: StartBroker, subscriber: Subscriber
) -> None:
    """A Trigger that moved to another Broker gets its events, and nobody deleted its consumer."""
    moved = trigger("moved", "work")
    objects = [channel("moved"), broker("moved", "main"), broker("moved", "other"), moved]
    run = start_broker("moved", objects)
    run.stop()
    run.write([*objects[:3], trigger("moved", "work", "other")])
    run.start()
    assert run.send("moved/other", "moved-1", type="work").status_code == 202
    subscriber.wait_for("moved-1")
    assert run.warnings("somebody deleted") == []


def test_the_events_of_a_trigger_without_subscriber_wait_for_it(
    start_broker: StartBroker, subscriber: Subscriber
) -> None:
    """Events for a function that does not run here are delivered at a later start."""
    absent = "absent.waits.svc.cluster.local"
    objects = [
        channel("waits", stream={"maxBytes": 1048576, "discard": "New"}),
        broker("waits", "main"),
        trigger("waits", "here"),
        trigger("waits", "absent", subscriber=service("absent", "/absent")),
    ]
    services = addresses("waits", subscriber.url)
    run = start_broker("waits", objects, services=services)
    assert "answers 500" in run.warned("waits/absent is not ready", absent, "1048576 bytes")
    for number in range(5):
        assert run.send("waits/main", f"waits-{number}", type="absent").status_code == 202
    run.send("waits/main", "waits-here", type="here")
    subscriber.wait_for("waits-here")
    waiting = run.stats()["triggers"]["waits/absent"]
    assert (waiting["ready"], waiting["lag"]) == (False, 6)
    assert absent in waiting["reason"]
    run.stop()
    run.addresses({**services, absent: subscriber.url})
    run.start()
    for number in range(5):
        assert subscriber.wait_for(f"waits-{number}")[0].path == "/absent"
    eventually(lambda: run.stats()["triggers"]["waits/absent"]["lag"] == 0)
    assert run.stats()["triggers"]["waits/absent"]["ready"]
    assert len(subscriber.of("waits-here")) == 1


def test_a_full_stream_is_warned_about(start_broker: StartBroker, subscriber: Subscriber) -> None:
    """At maxBytes the ingress answers 500 with one warning that names the blocking Trigger."""
    objects = [
        channel("full", stream={"maxBytes": 400_000, "discard": "New"}),
        broker("full", "main"),
        trigger("full", "here"),
        trigger("full", "absent", subscriber=service("absent")),
    ]
    run = start_broker("full", objects)
    answers = [
        run.send("full/main", f"full-{n}", type="here", body=b"x" * 100_000).status_code
        for n in range(8)
    ]
    assert answers == [202] * 3 + [500] * 5
    assert "events wait for full/absent" in run.warned("answers 500", "is full")
    for number in range(3):
        subscriber.wait_for(f"full-{number}")


def test_a_stream_of_one_consumer_serves_the_trigger_with_a_subscriber(
    start_broker: StartBroker, subscriber: Subscriber
) -> None:
    """A stream with retention Work has one consumer, for the Trigger with a subscriber."""
    objects = [
        channel("work", stream={"retention": "Work"}, deliverPolicy="All"),
        broker("work", "main"),
        trigger("work", "absent", subscriber=service("absent")),
        trigger("work", "here"),
    ]
    run = start_broker("work", objects)
    run.send("work/main", "work-1", type="here")
    subscriber.wait_for("work-1")
    assert "do not wait" in run.warned("LOSS Trigger work/absent")
    assert not run.stats()["triggers"]["work/absent"]["ready"]


def test_attempts_are_counted_with_a_jetstream_domain(
    start_broker: StartBroker, subscriber: Subscriber, tmp_path: Path
) -> None:
    """Attempts are counted although a domain changes the acknowledgement's subject."""
    flags = "feature_flags { js_ack_fc_v2: true }\n"
    server = NatsServer(tmp_path, f"{flags}jetstream {{ domain: hub }}\n")
    server.start()
    try:
        objects = [
            channel("domain"),
            broker("domain", "main"),
            trigger("domain", "work", delivery=delivery(retry=1)),
        ]
        run = start_broker("domain", objects, nats_url=server.url)
        subscriber.script["domain-1"] = [Reply(503)]
        run.send("domain/main", "domain-1", type="work")
        assert subscriber.dead_letter("domain-1").headers["ce-knativeerrorcode"] == "503"
        assert len(subscriber.of("domain-1")) == 2
        assert run.stop() == 0
    finally:
        server.stop()
