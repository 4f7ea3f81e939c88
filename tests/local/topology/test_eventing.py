"""The eventing YAML: how it is read, and the errors of invalid manifests."""

from __future__ import annotations

import copy
import json
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


def test_the_projects_manifests_lose_no_events() -> None:
    """The repository's topology is read without a warning about lost events."""
    eventing = load_eventing(ROOT / "eventing")
    assert {each.key for each in eventing.brokers} == {
        "kandle/ingest",
        "kandle/ticks",
        "kandle/market",
        "kandle/display",
    }
    lossy = {each.key for each in eventing.brokers if each.channel.may_lose}
    assert lossy == {"kandle/display"}
    for each in eventing.triggers:
        assert (each.delivery.dead_letter_sink is None) == (each.broker in lossy)
    assert not eventing.warnings
    assert not eventing.ignored


def test_durations_and_defaults_are_read(tmp_path: Path) -> None:
    """Go durations of the template and ISO 8601 durations of a delivery are read.

    A Trigger's own delivery replaces its Broker's.
    """
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


def test_destinations_are_resolved_to_urls(tmp_path: Path) -> None:
    """Services, Brokers, uris and uris relative to a reference are resolved."""
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


def test_sources_and_bindings_are_read(tmp_path: Path) -> None:
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
    """Kinds without a meaning here are listed as ignored, and a Namespace is skipped."""
    kustomization = {"apiVersion": "kustomize.config.k8s.io/v1beta1", "kind": "Kustomization"}
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NS}}
    quota = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": NS}}
    (tmp_path / "kustomization.yaml").write_text(yaml.safe_dump(kustomization))
    (tmp_path / "channel.yml").write_text(yaml.safe_dump(channel(NS)))
    (tmp_path / "notes.txt").write_text("not: [yaml")
    eventing = load(tmp_path, namespace, quota, broker(NS, "main"))
    assert [each.key for each in eventing.brokers] == ["shop/main"]
    assert [each.split(": ")[1] for each in eventing.ignored] == [f"ResourceQuota/{NS}"]


def test_a_list_as_kubectl_writes_it_is_read(tmp_path: Path) -> None:
    """A List of YAML or JSON as kubectl writes it is read without the server's additions."""
    made = {"uid": "a-b", "resourceVersion": "12", "generation": 1, "managedFields": [{}]}
    first = broker(NS, "main")
    first["metadata"] |= made | {"creationTimestamp": "2026-01-01T00:00:00Z"}
    first["status"] = {"conditions": []}
    several = {"apiVersion": "v1", "kind": "List", "items": [channel(NS), first], "metadata": {}}
    (tmp_path / "all.yaml").write_text(yaml.safe_dump(several))
    alone = {"apiVersion": "v1", "kind": "TriggerList", "items": [trigger(NS, "t", "main")]}
    (tmp_path / "trigger.json").write_text(json.dumps(alone))
    (tmp_path / "package.json").write_text('{"name": "no manifest"}')
    eventing = load_eventing(tmp_path)
    assert [each.key for each in eventing.brokers] == ["shop/main"]
    assert [each.key for each in eventing.triggers] == ["shop/t"]


def test_lossy_settings_are_warnings(tmp_path: Path) -> None:
    """Missing retry, backoff, sink and limits are warnings, not errors."""
    eventing = load(
        tmp_path,
        channel(NS, stream={"retention": "Limits"}, consumerType="Pull"),
        broker(NS, "main"),
        trigger(NS, "risky", delivery={"timeout": "PT1S"}),
    )
    text = "\n".join(eventing.warnings)
    for words in ("forever", "Pull", "backoffPolicy and backoffDelay", "retry", "deadLetterSink"):
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
        ("spec.delivery.backoffDelay", "1s", "'1s' is not an ISO 8601 duration"),
        ("spec.delivery.timeout", "P", "not an ISO 8601 duration"),
        ("spec.delivery.backoffPolicy", "cubic", "'cubic' is none of linear, exponential"),
        ("spec.delivery.retries", 3, "unknown field retries"),
        ("spec.filters", {}, "must be a list, not"),
        ("spec.filters", [{"exact": {"Type": "a"}}], "Type: is not an attribute name"),
        ("spec.filters", [{"exact": {"my-ext": "a"}}], "my-ext: is not an attribute name"),
        ("spec.filters", [{"exact": {"closed": True}}], "write 'true' in quotes"),
        ("spec.filters", [{"exact": {}}], "names no attribute"),
        ("spec.filters", [{"exact": {"a": "b"}, "prefix": {"a": "b"}}], "has exact and prefix"),
        ("spec.filters", [{}], "needs one dialect, has none"),
        ("spec.filters", [{"exakt": {"a": "b"}}], "unknown field exakt"),
        ("spec.filters", [{"any": []}], "needs at least one filter"),
        ("spec.filters", [{"cesql": "type ="}], "not CloudEvents SQL"),
        ("apiVersion", "eventing.knative.dev/v1beta1", "must be eventing.knative.dev/v1"),
    ],
)
def test_an_invalid_trigger_is_refused(tmp_path: Path, path: str, value: Any, says: str) -> None:
    """The error names file, Trigger and field, and what to write."""
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
        ({"maxAge": "P7D"}, {}, "maxAge: 'P7D' is not a Go duration"),
        ({"duplicateWindow": "PT2M"}, {}, "not a Go duration"),
        ({"maxAge": "1m", "duplicateWindow": "2m"}, {}, "longer than maxAge"),
        ({"numReplicas": 3}, {}, "write replicas"),
        ({"maxByte": 3}, {}, "unknown field maxByte"),
        ({}, {"deliverPolicy": "Newest"}, "deliverPolicy: 'Newest'"),
        ({}, {"ackWait": "PT30S"}, "ackWait: 'PT30S' is not a Go duration"),
        ({}, {"maxAckPending": 0}, "at least 1"),
        ({}, {"maxAckPendings": 1}, "unknown field maxAckPendings"),
    ],
)
def test_an_invalid_template_is_refused(
    tmp_path: Path, stream: dict[str, Any], consumer: dict[str, Any], says: str
) -> None:
    """Each mistake in the template, which real admission hardly checks, is an error."""
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
        ({"timezone": "Mars/Olympus"}, "is not a time zone"),
        ({"sink": None}, "sink: is required"),
        ({"ceOverrides": {"extensions": {"a-b": "c"}}}, "is not an attribute name"),
    ],
)
def test_an_invalid_ping_source_is_refused(tmp_path: Path, spec: dict[str, Any], says: str) -> None:
    """An invalid schedule is refused by PingSource's rules."""
    with pytest.raises(ManifestError, match="PingSource/clock") as caught:
        load(tmp_path, ping(**spec))
    assert says in str(caught.value)


def test_an_invalid_broker_is_refused(tmp_path: Path) -> None:
    """Another class, a missing template and a duplicate name are reported together."""
    kafka = broker(NS, "kafka")
    kafka["metadata"]["annotations"] = {"eventing.knative.dev/broker.class": "Kafka"}
    kafka["spec"]["deliveries"] = {}
    with pytest.raises(ManifestError) as caught:
        load(tmp_path, kafka, broker(NS, "lost"), broker(NS, "lost"), trigger(NS, "t"))
    lines = str(caught.value).splitlines()
    for words in ("write MTChannelBasedBroker", "no ConfigMap shop/channel", "twice", "deliveries"):
        assert any(words in line for line in lines), words
    assert any("Trigger/t: spec.broker" in line for line in lines)


def test_cluster_defaults_are_used_with_a_warning(tmp_path: Path) -> None:
    """Defaults that a cluster would fill in are used with a warning.

    The quickstart's Broker, the cluster's ConfigMap, and a template without spec, which is durable.
    """
    bare = channel(NS)
    bare["data"]["channel-template-spec"] = (
        "apiVersion: messaging.knative.dev/v1alpha1\nkind: NatsJetStreamChannel\n"
    )
    quickstart = {
        "apiVersion": "eventing.knative.dev/v1",
        "kind": "Broker",
        "metadata": {"name": "default", "namespace": NS},
    }
    of_cluster = broker(NS, "of-cluster", "config-br-default-channel")
    of_cluster["spec"]["config"]["namespace"] = "knative-eventing"
    work = trigger(NS, "work", "default", delivery=delivery())
    eventing = load(tmp_path, bare, quickstart, of_cluster, broker(NS, "bare"), work)
    assert [each.broker for each in eventing.triggers] == [f"{NS}/default"]
    for each in eventing.brokers:
        template = each.channel
        assert (template.stream.retention, template.stream.storage) == ("Interest", "File")
        assert (template.stream.max_age, template.stream.max_bytes) == (604_800, 2_147_483_648)
        assert (template.stream.discard, template.consumer.deliver_policy) == ("New", "New")
        assert (template.consumer.ack_wait, template.consumer.max_ack_pending) == (30, 100)
    warnings = [text.removeprefix(f"{tmp_path}/all.yaml: ") for text in eventing.warnings]
    for start in (
        "ConfigMap/channel: data.channel-template-spec: spec: is missing; taken here: Nats",
        "Broker/default: metadata.annotations: eventing.knative.dev/broker.class is missing",
        "Broker/default: spec.config: is missing; taken here: NatsJetStreamChannel with",
        "Broker/of-cluster: spec.config.name: knative-eventing/config-br-default-channel is",
    ):
        assert sum(text.startswith(start) for text in warnings) == 1, start
    assert len(warnings) == 4


def test_all_errors_of_the_manifests_are_reported_at_once(tmp_path: Path) -> None:
    """All errors of all objects are reported at once, each on one line."""
    wrong = trigger(NS, "work", "absent", delivery=delivery(retry=-1, policy="cubic", delay="1s"))
    wrong["spec"]["filters"] = [{"exact": {"Type": "a"}}, {"cesql": "type ="}]
    wrong["spec"]["subscriber"] = {"ref": {"namespace": 3}}
    wrong["spec"]["delivery"]["deadLetterSink"] = {"uri": "/path"}
    wrong["spec"]["brokr"] = "main"
    template = channel(NS, stream={"retention": "interest", "maxAge": "P7D"}, ackWait="PT30S")
    clock = ping(schedule="* *", timezone="Mars/Olympus", sink=None)
    with pytest.raises(ManifestError) as caught:
        load(tmp_path, template, wrong, clock, binding(subject={}, sink={"uri": "/x"}))
    file = f"{tmp_path}/all.yaml: "
    error_lines = str(caught.value).splitlines()
    lines = [line.removeprefix(file) for line in error_lines if line.startswith(file)]
    for start in (
        "ConfigMap/channel: data.channel-template-spec.spec.stream.config.retention:",
        "ConfigMap/channel: data.channel-template-spec.spec.stream.config.maxAge:",
        "ConfigMap/channel: data.channel-template-spec.spec.consumerConfigTemplate.ackWait:",
        "Trigger/work: spec.filters[0].exact.Type:",
        "Trigger/work: spec.filters[1].cesql:",
        "Trigger/work: spec.subscriber.ref.namespace:",
        "Trigger/work: spec.subscriber.ref.apiVersion:",
        "Trigger/work: spec.subscriber.ref.kind:",
        "Trigger/work: spec.subscriber.ref.name:",
        "Trigger/work: spec.delivery.retry:",
        "Trigger/work: spec.delivery.backoffPolicy:",
        "Trigger/work: spec.delivery.backoffDelay:",
        "Trigger/work: spec.delivery.deadLetterSink:",
        "Trigger/work: spec: unknown field brokr",
        "Trigger/work: spec.broker: there is no Broker shop/absent",
        "PingSource/clock: spec.schedule:",
        "PingSource/clock: spec.timezone:",
        "PingSource/clock: spec.sink:",
        "SinkBinding/to-main: spec.subject.apiVersion:",
        "SinkBinding/to-main: spec.subject.kind:",
        "SinkBinding/to-main: spec.subject.name:",
        "SinkBinding/to-main: spec.sink:",
    ):
        assert sum(line.startswith(start) for line in lines) == 1, (start, lines)
    assert len(lines) == 22


@pytest.mark.parametrize(
    ("api_version", "kind", "meant"),
    [
        ("eventing.knative.dev/v1", "Brokr", "Broker"),
        ("eventing.knative.dev/v1", "trigger", "Trigger"),
        ("sources.knative.dev/v1", "PingSources", "PingSource"),
        ("messaging.knative.dev/v1", "SinkBindng", "SinkBinding"),
    ],
)
def test_a_misspelt_kind_is_refused(
    tmp_path: Path, api_version: str, kind: str, meant: str
) -> None:
    """A misspelt kind is refused with the kind that was meant."""
    wrong = {"apiVersion": api_version, "kind": kind, "metadata": {"name": "main"}}
    with pytest.raises(
        ManifestError, match=f"{kind}/main: kind: '{kind}' is not a .* write {meant}$"
    ):
        load(tmp_path, wrong)


def test_an_unsupported_knative_kind_is_a_warning(tmp_path: Path) -> None:
    """A Knative kind that does not run here is skipped with a warning."""
    metadata = {"name": "watch"}
    source = {"apiVersion": "sources.knative.dev/v1", "kind": "ApiServerSource"}
    eventing = load(tmp_path, {**source, "metadata": metadata})
    (warning,) = eventing.warnings
    assert "ApiServerSource/watch: kind: 'ApiServerSource' is ignored" in warning
    assert not eventing.ignored


def test_an_empty_directory_and_broken_yaml_are_errors(tmp_path: Path) -> None:
    """An empty directory and broken YAML are errors with the path."""
    with pytest.raises(ManifestError, match=r"holds no \*\.yaml"):
        load_eventing(tmp_path)
    (tmp_path / "broken.yaml").write_text("a: [")
    with pytest.raises(ManifestError, match=r"broken\.yaml: is not YAML"):
        load_eventing(tmp_path)
