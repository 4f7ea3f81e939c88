"""The eventing YAML: what is read from it, and what is refused with which words."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml

from local.errors import ManifestError
from local.topology.delivery_spec import WITHOUT_ANY
from local.topology.eventing import Eventing, load_eventing
from tests.local.broker.manifests import broker, channel, delivery, service, trigger

ROOT = Path(__file__).resolve().parents[3]
NS = "shop"


def ping(**spec: Any) -> dict[str, Any]:
    filled = {"schedule": "* * * * *", "sink": service(), **spec}
    return {
        "apiVersion": "sources.knative.dev/v1",
        "kind": "PingSource",
        "metadata": {"name": "clock", "namespace": NS},
        "spec": {name: value for name, value in filled.items() if value is not None},
    }


def binding(**spec: Any) -> dict[str, Any]:
    subject = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "listener"}
    return {
        "apiVersion": "sources.knative.dev/v1",
        "kind": "SinkBinding",
        "metadata": {"name": "to-main", "namespace": NS},
        "spec": {"subject": subject, "sink": service(), **spec},
    }


def load(directory: Path, *objects: dict[str, Any]) -> Eventing:
    (directory / "all.yaml").write_text(yaml.safe_dump_all(objects))
    return load_eventing(directory)


def test_the_projects_own_manifests() -> None:
    """The repository's topology is read whole, and nothing in it loses events."""
    eventing = load_eventing(ROOT / "eventing")
    assert {each.key for each in eventing.brokers} == {
        "kandle/ingest",
        "kandle/ticks",
        "kandle/market",
    }
    assert all(each.delivery.dead_letter_sink for each in eventing.triggers)
    assert not eventing.warnings
    assert not eventing.ignored


def test_durations_and_defaults(tmp_path: Path) -> None:
    """Go durations in the template, ISO 8601 in the delivery; a Trigger's own delivery replaces."""
    eventing = load(
        tmp_path,
        channel(NS, stream={"maxAge": "1h30m", "duplicateWindow": "10m"}, ackWait="1500ms"),
        broker(NS, "main", delivery=delivery(retry=7)),
        broker(NS, "bare"),
        trigger(NS, "own", delivery={"retry": 2, "timeout": "PT1M0.5S"}),
        trigger(NS, "inherits"),
        trigger(NS, "none", "bare"),
    )
    template = eventing.brokers[0].channel
    assert (template.stream.max_age, template.stream.duplicate_window) == (5400, 600)
    assert template.consumer.ack_wait == 1.5
    own, inherits, none = eventing.triggers
    assert (own.delivery.retry, own.delivery.timeout) == (2, 60.5)
    assert own.delivery.dead_letter_sink is None
    assert inherits.delivery == eventing.brokers[0].delivery
    assert none.delivery == WITHOUT_ANY


def test_urls_of_destinations(tmp_path: Path) -> None:
    """Services, Brokers, uris and uris relative to a reference."""
    main = {"apiVersion": "eventing.knative.dev/v1", "kind": "Broker", "name": "main"}
    eventing = load(
        tmp_path,
        channel(NS),
        broker(NS, "main"),
        trigger(NS, "a", subscriber=service("cart")),
        trigger(NS, "b", subscriber=service("cart", "/x?y=1")),
        trigger(NS, "c", subscriber={"uri": "http://elsewhere:8080/z"}),
        trigger(NS, "d", subscriber={"ref": main}),
        trigger(NS, "e", subscriber={"ref": {**service("cart")["ref"], "namespace": "other"}}),
    )
    assert [each.subscriber.url for each in eventing.triggers] == [
        "http://cart.shop.svc.cluster.local",
        "http://cart.shop.svc.cluster.local/x?y=1",
        "http://elsewhere:8080/z",
        "http://broker-ingress.knative-eventing.svc.cluster.local/shop/main",
        "http://cart.other.svc.cluster.local",
    ]


def test_sources_and_bindings(tmp_path: Path) -> None:
    """A PingSource's data may be base64; a SinkBinding names its subject, sink and extensions."""
    overrides = {"extensions": {"env": "test"}}
    eventing = load(
        tmp_path,
        ping(dataBase64="AP8=", schedule="*/2 0-20/10 * * MON-FRI"),
        binding(ceOverrides=overrides),
    )
    (source,), (bound,) = eventing.ping_sources, eventing.sink_bindings
    assert source.body == b"\x00\xff"
    assert (bound.subject.kind, bound.subject.name) == ("Deployment", "listener")
    assert bound.subject.namespace == NS
    assert bound.sink.url == "http://subscriber.shop.svc.cluster.local"
    assert bound.extensions == {"env": "test"}


def test_other_kinds_are_listed_and_several_files_are_read(tmp_path: Path) -> None:
    """Kustomization is passed over; what means nothing to a broker is listed as ignored."""
    kustomization = {"apiVersion": "kustomize.config.k8s.io/v1beta1", "kind": "Kustomization"}
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NS}}
    (tmp_path / "kustomization.yaml").write_text(yaml.safe_dump(kustomization))
    (tmp_path / "channel.yml").write_text(yaml.safe_dump(channel(NS)))
    (tmp_path / "notes.txt").write_text("not: [yaml")
    eventing = load(tmp_path, namespace, broker(NS, "main"))
    assert [each.key for each in eventing.brokers] == ["shop/main"]
    assert [each.split(": ")[1] for each in eventing.ignored] == [f"Namespace/{NS}"]


def test_what_loses_events_is_a_warning(tmp_path: Path) -> None:
    """Missing retry, backoff, sink and limits are said; they are no errors."""
    eventing = load(
        tmp_path,
        channel(NS, stream={"retention": "Limits"}, consumerType="Pull"),
        broker(NS, "main"),
        trigger(NS, "risky", delivery={"timeout": "PT1S"}),
    )
    text = "\n".join(eventing.warnings)
    for words in ("for ever", "Pull", "backoffPolicy and backoffDelay", "retry", "deadLetterSink"):
        assert words in text


def _nested(spec: dict[str, Any], path: str, value: Any) -> None:
    *parents, last = path.split(".")
    for name in parents:
        spec = spec.setdefault(name, {})
    if value is None:
        spec.pop(last, None)
    else:
        spec[last] = value


@pytest.mark.parametrize(
    ("path", "value", "says"),
    [
        ("spec.brokr", "main", "spec: unknown field brokr"),
        ("spec.broker", "absent", "spec.broker: there is no Broker shop/absent"),
        ("spec.broker", None, "spec.broker: is required"),
        ("spec.subscriber", None, "spec.subscriber: is required"),
        ("spec.subscriber.ref.kind", "Servce", "subscriber.ref.kind: 'Servce' cannot be resolved"),
        ("spec.subscriber", {"uri": "/path"}, "needs a ref, or a uri"),
        ("spec.delivery.retry", "3", "spec.delivery.retry: must be a whole number"),
        ("spec.delivery.retry", -1, "at least 0"),
        ("spec.delivery.backoffDelay", "1s", "'1s' is no ISO 8601 duration"),
        ("spec.delivery.timeout", "P", "no ISO 8601 duration"),
        ("spec.delivery.backoffPolicy", "cubic", "'cubic' is none of linear, exponential"),
        ("spec.delivery.retries", 3, "unknown field retries"),
        ("spec.filters", [{"exact": {"Type": "a"}}], "Type: is no attribute name"),
        ("spec.filters", [{"exact": {"my-ext": "a"}}], "my-ext: is no attribute name"),
        ("spec.filters", [{"exact": {"closed": True}}], "write 'true' in quotes"),
        ("spec.filters", [{"exact": {}}], "names no attribute"),
        ("spec.filters", [{"exact": {"a": "b"}, "prefix": {"a": "b"}}], "has exact and prefix"),
        ("spec.filters", [{}], "needs one dialect, has none"),
        ("spec.filters", [{"exakt": {"a": "b"}}], "unknown field exakt"),
        ("spec.filters", [{"any": []}], "needs at least one filter"),
        ("spec.filters", [{"cesql": "type ="}], "no CloudEvents SQL"),
        ("apiVersion", "eventing.knative.dev/v1beta1", "must be eventing.knative.dev/v1"),
    ],
)
def test_a_wrong_trigger(tmp_path: Path, path: str, value: Any, says: str) -> None:
    """The message names file, Trigger and field, and what to write."""
    wrong = copy.deepcopy(trigger(NS, "work", delivery=delivery()))
    _nested(wrong, path, value)
    with pytest.raises(ManifestError) as caught:
        load(tmp_path, channel(NS), broker(NS, "main"), wrong)
    assert f"{tmp_path}/all.yaml: Trigger/work: " in str(caught.value)
    assert says in str(caught.value)


@pytest.mark.parametrize(
    ("stream", "consumer", "says"),
    [
        ({"retention": "interest"}, {}, "'interest' is none of Limits, Interest, Work"),
        ({"storage": "Disk"}, {}, "storage: 'Disk'"),
        ({"discard": "Oldest"}, {}, "discard: 'Oldest'"),
        ({"maxAge": "P7D"}, {}, "maxAge: 'P7D' is no Go duration"),
        ({"duplicateWindow": "PT2M"}, {}, "no Go duration"),
        ({"maxAge": "1m", "duplicateWindow": "2m"}, {}, "longer than maxAge"),
        ({"numReplicas": 3}, {}, "write replicas"),
        ({"maxByte": 3}, {}, "unknown field maxByte"),
        ({}, {"deliverPolicy": "Newest"}, "deliverPolicy: 'Newest'"),
        ({}, {"ackWait": "PT30S"}, "ackWait: 'PT30S' is no Go duration"),
        ({}, {"maxAckPending": 0}, "at least 1"),
        ({}, {"maxAckPendings": 1}, "unknown field maxAckPendings"),
    ],
)
def test_a_wrong_template(
    tmp_path: Path, stream: dict[str, Any], consumer: dict[str, Any], says: str
) -> None:
    """Inside the template, which real admission hardly looks at, every slip is an error."""
    with pytest.raises(ManifestError, match="ConfigMap/channel") as caught:
        load(tmp_path, channel(NS, stream=stream, **consumer), broker(NS, "main"), trigger(NS, "t"))
    assert says in str(caught.value)
    assert "Trigger" not in str(caught.value)


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ({"schedule": "@every 1s"}, "takes no descriptors"),
        ({"schedule": "* * * *"}, "has 4 fields"),
        ({"schedule": "60 * * * * *"}, "outside 0-59 of field second"),
        ({"schedule": "* * * * FUNDAY"}, "day of week"),
        ({"schedule": None}, "schedule: is required"),
        ({"data": "x", "dataBase64": "eA=="}, "stands beside data"),
        ({"dataBase64": "?"}, "is not base64"),
        ({"timezone": "Mars/Olympus"}, "is no time zone"),
        ({"sink": None}, "sink: is required"),
        ({"ceOverrides": {"extensions": {"a-b": "c"}}}, "is no attribute name"),
    ],
)
def test_a_wrong_ping_source(tmp_path: Path, spec: dict[str, Any], says: str) -> None:
    """Schedules are checked as PingSource reads them."""
    with pytest.raises(ManifestError, match="PingSource/clock") as caught:
        load(tmp_path, ping(**spec))
    assert says in str(caught.value)


def test_a_wrong_broker(tmp_path: Path) -> None:
    """A Broker needs its class and a template; all that is wrong is said at once."""
    classless = broker(NS, "classless")
    classless["metadata"]["annotations"] = {}
    memory = broker(NS, "memory")
    del memory["spec"]["config"]
    with pytest.raises(ManifestError) as caught:
        load(tmp_path, classless, memory, broker(NS, "lost"), broker(NS, "lost"), trigger(NS, "t"))
    lines = str(caught.value).splitlines()
    for words in ("MTChannelBasedBroker", "InMemoryChannel", "no ConfigMap shop/channel", "twice"):
        assert any(words in line for line in lines), words
    assert any("Trigger/t: spec.broker" in line for line in lines)


def test_an_empty_directory_and_broken_yaml(tmp_path: Path) -> None:
    """Both are said, with the path."""
    with pytest.raises(ManifestError, match=r"holds no \*\.yaml"):
        load_eventing(tmp_path)
    (tmp_path / "broken.yaml").write_text("a: [")
    with pytest.raises(ManifestError, match=r"broken\.yaml: is not YAML"):
        load_eventing(tmp_path)
