"""One NATS server, one subscriber and one broker process with a Trigger for each policy."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.local.broker.manifests import addresses, broker, channel, delivery, service, trigger
from tests.local.broker.processes import BrokerRun, NatsServer
from tests.local.broker.subscriber import Subscriber

NAMESPACE = "rules"
StartBroker = Callable[..., BrokerRun]


@pytest.fixture(scope="session")
def nats_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NatsServer]:
    server = NatsServer(tmp_path_factory.mktemp("nats"))
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def subscriber() -> Iterator[Subscriber]:
    server = Subscriber()
    yield server
    server.close()


@pytest.fixture(scope="session")
def rules(
    nats_server: NatsServer, subscriber: Subscriber, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[BrokerRun]:
    """Events of type `x` go to Trigger `x`, which is named after its policy."""
    ns, own_sink = NAMESPACE, {"deadLetterSink": service(uri="/sink")}

    def exact(name: str, **attributes: str) -> list[dict[str, Any]]:
        return [{"exact": {"type": name, **attributes}}]

    objects = [
        channel(ns),
        channel(ns, "three-slots", maxAckPending=3),
        channel(ns, "one-slot", maxAckPending=1),
        broker(ns, "main", delivery=delivery(retry=1, sink=False)),
        broker(ns, "bare"),
        broker(ns, "three", "three-slots"),
        broker(ns, "one", "one-slot"),
        trigger(ns, "table", delivery=delivery()),
        trigger(ns, "linear", delivery=delivery(retry=2, policy="linear", delay="PT0.2S")),
        trigger(ns, "nosink", delivery=delivery(retry=1, sink=False)),
        trigger(ns, "once", delivery=delivery(retry=0)),
        trigger(ns, "slow", delivery=delivery(retry=1, timeout="PT0.3S")),
        trigger(ns, "nobackoff", delivery={"retry": 1, **own_sink}),
        trigger(ns, "inherits"),
        trigger(ns, "bare", "bare", filters=exact("bare")),
        trigger(ns, "down", delivery=delivery(retry=1), subscriber=service("down")),
        trigger(ns, "circle", delivery=delivery(retry=0)),
        trigger(ns, "replied", delivery=delivery()),
        trigger(ns, "badsink", delivery={**delivery(retry=0), **own_sink}),
        trigger(ns, "three", "three", delivery=delivery()),
        trigger(ns, "one", "one", delivery=delivery()),
    ]
    map_ = {**addresses(ns, subscriber.url), f"down.{ns}.svc.cluster.local": "http://127.0.0.1:1"}
    run = BrokerRun(tmp_path_factory.mktemp("rules"), nats_server.url, objects, map_)
    run.start()
    yield run
    assert run.close() == 0


@pytest.fixture
def start_broker(
    nats_server: NatsServer, subscriber: Subscriber, tmp_path: Path
) -> Iterator[StartBroker]:
    """Start a broker process over other YAML; it is stopped after the test."""
    runs: list[BrokerRun] = []

    def start(
        namespace: str,
        objects: list[dict[str, Any]],
        *,
        nats_url: str = nats_server.url,
        services: dict[str, str] | None = None,
        ready: bool = True,
    ) -> BrokerRun:
        map_ = addresses(namespace, subscriber.url) if services is None else services
        run = BrokerRun(tmp_path / f"broker{len(runs)}", nats_url, objects, map_)
        runs.append(run)
        run.start(ready=ready)
        return run

    yield start
    for run in runs:
        run.close()
