"""Subscribers and their addresses: uris, Brokers, missing Services, PingSources."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from tests.local.broker.conftest import StartBroker
from tests.local.broker.manifests import broker, channel, delivery, trigger
from tests.local.broker.processes import BrokerRun, NatsServer, eventually
from tests.local.broker.subscriber import Subscriber

pytestmark = pytest.mark.processes

NS = "wiring"


def ping_source(name: str, schedule: str, **spec: Any) -> dict[str, Any]:
    ref = {"apiVersion": "eventing.knative.dev/v1", "kind": "Broker", "name": "main"}
    return {
        "apiVersion": "sources.knative.dev/v1",
        "kind": "PingSource",
        "metadata": {"name": name, "namespace": NS},
        "spec": {"schedule": schedule, "sink": {"ref": ref}, **spec},
    }


@pytest.fixture
def wired(start_broker: StartBroker, subscriber: Subscriber) -> BrokerRun:
    forward = {"apiVersion": "eventing.knative.dev/v1", "kind": "Broker", "name": "second"}
    absent = {"apiVersion": "serving.knative.dev/v1", "kind": "Service", "name": "absent"}
    objects = [
        channel(NS),
        broker(NS, "main"),
        broker(NS, "second"),
        trigger(NS, "absolute", subscriber={"uri": f"{subscriber.url}/by/uri?x=1"}),
        trigger(NS, "forward", subscriber={"ref": forward}),
        trigger(NS, "second", "second", filters=[]),
        trigger(NS, "absent", subscriber={"ref": absent}, delivery=delivery()),
        trigger(NS, "clock", filters=[{"exact": {"type": "dev.knative.sources.ping"}}]),
        ping_source(
            "every-second",
            "* * * * * *",
            data='{"n": 1}',
            contentType="application/json",
            ceOverrides={"extensions": {"myext": "x"}},
        ),
        ping_source("never", "0 0 30 2 *", data="{}"),
    ]
    return start_broker(NS, objects)


def test_uris_brokers_and_ping_sources_are_wired(wired: BrokerRun, subscriber: Subscriber) -> None:
    """A uri, a Broker as subscriber and a PingSource work; a missing Service is not ready."""
    wired.send(f"{NS}/main", "wiring-1", type="absolute")
    assert subscriber.wait_for("wiring-1")[0].path == "/by/uri?x=1"
    wired.send(f"{NS}/main", "wiring-2", type="forward")
    assert subscriber.wait_for("wiring-2")[0].path == "/second"
    wired.send(f"{NS}/main", "wiring-3", type="absent")
    absent = wired.stats()["triggers"][f"{NS}/absent"]
    assert not absent["ready"]
    assert "absent.wiring.svc.cluster.local" in absent["reason"]
    assert absent["subscriber"] == "http://absent.wiring.svc.cluster.local"
    assert "is not ready" in wired.warned(f"Trigger {NS}/absent", "absent.wiring", "wait")
    # all events of the Broker wait: filters come after the stream
    assert absent["lag"] >= 3

    pings = eventually(
        lambda: (
            two if len(two := [p for p in subscriber.received if p.path == "/clock"]) > 1 else []
        )
    )
    headers = pings[0].headers
    assert headers["ce-type"] == "dev.knative.sources.ping"
    assert headers["ce-source"] == f"/apis/v1/namespaces/{NS}/pingsources/every-second"
    assert headers["content-type"] == "application/json"
    assert headers["ce-myext"] == "x"
    assert pings[0].body == b'{"n": 1}'
    assert pings[0].id != pings[1].id
    age = dt.datetime.now(dt.UTC) - dt.datetime.fromisoformat(headers["ce-time"])
    assert age < dt.timedelta(seconds=15)


def test_bad_manifests_stop_the_start(start_broker: StartBroker, nats_server: NatsServer) -> None:
    """A Trigger of a missing Broker is exit code 1 with file, Trigger and field on stderr."""
    objects = [channel("bad"), broker("bad", "main"), trigger("bad", "work", "absent")]
    run = start_broker("bad", objects, ready=False)
    eventually(lambda: "all.yaml: Trigger/work: spec.broker" in run.stderr())
    assert run.wait() == 1


def test_lossy_settings_are_warned_about_at_start(start_broker: StartBroker) -> None:
    """Missing retry, backoff and dead letter sink are warnings, not errors."""
    objects = [
        channel("risky"),
        broker("risky", "main"),
        trigger("risky", "work", delivery={"timeout": "PT5S"}),
    ]
    run = start_broker("risky", objects)
    for words in ("crashes the real dispatcher", "first failure is the last", "deadLetterSink"):
        assert "Trigger/work" in run.warned(words)


def test_the_quickstarts_broker_works(start_broker: StartBroker, subscriber: Subscriber) -> None:
    """A Broker of nothing but a name takes events, with notes of the defaults used."""
    quickstart = {
        "apiVersion": "eventing.knative.dev/v1",
        "kind": "Broker",
        "metadata": {"name": "default", "namespace": "quick"},
    }
    objects = [quickstart, trigger("quick", "work", "default", delivery=delivery())]
    run = start_broker("quick", objects)
    assert run.send("quick/default", "quick-1", type="work").status_code == 202
    subscriber.wait_for("quick-1")
    run.warned("Broker/default", "spec.config", "retention Interest")
