"""Senders and receivers of events: the manifests agree with each other and with the code."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
import yaml

from shared.adapter.identity import DISPLAY_TOKEN_FILE
from shared.wire import events
from tests.knative.manifests import EVENTING, OVERLAYS, ROOT, bound, built, name, of, sources
from tests.test_manifests import is_display, seconds

pytestmark = pytest.mark.processes

CONSTANTS = {value: key for key, value in vars(events).items() if key.isupper()}


@pytest.mark.parametrize("directory", EVENTING)
def test_no_delivery_loses_an_event(directory: str) -> None:
    """Each delivery has retries, timeout, sink and backoff.

    A 5xx without backoff crashes the dispatcher.
    """
    for each in of(directory, "Broker", "Trigger"):
        if is_display(each):
            continue
        delivery = each["spec"]["delivery"]
        assert delivery["retry"] >= 1, name(each)
        assert delivery["backoffPolicy"] in ("linear", "exponential"), name(each)
        assert min(seconds(delivery["backoffDelay"]), seconds(delivery["timeout"])) > 0
        sink = delivery["deadLetterSink"]
        if "ref" in sink:
            assert sink["ref"]["name"] in ("dead-letter", "kandle"), name(each)
        else:
            assert sink["uri"] == "http://kandle.kandle.svc.cluster.local/dead-letter", name(each)


@pytest.mark.parametrize("directory", OVERLAYS)
def test_every_reference_finds_its_object(directory: str) -> None:
    """Each reference of a Trigger or binding has its object, which admission does not check."""
    found = {(each["kind"], each["metadata"]["name"]) for each in built(directory)}
    for each in of(directory, "Trigger", "SinkBinding", "PingSource", "EventType", "Broker"):
        spec = each["spec"]
        references = [spec.get("subscriber"), spec.get("sink"), spec.get("config")]
        references += [spec.get("delivery", {}).get("deadLetterSink"), spec.get("reference")]
        references += [spec["subject"]] if "name" in spec.get("subject", {}) else []
        for reference in filter(None, references):
            target = reference.get("ref", reference)
            if set(target) == {"uri"}:
                target = {"kind": "Service", "name": target["uri"].split("/")[2].split(".")[0]}
            assert (target["kind"], target["name"]) in found, f"{name(each)}: {target}"
        if each["kind"] == "Trigger":
            assert ("Broker", spec["broker"]) in found, name(each)


@pytest.mark.parametrize("directory", EVENTING)
def test_each_filtered_type_is_declared_and_emitted(directory: str) -> None:
    """Each type that a Trigger filters for is declared and sent to its Broker."""
    declared = {
        (each["spec"]["reference"]["name"], each["spec"]["type"])
        for each in of(directory, "EventType")
    }
    emitted = {
        (each["spec"]["sink"]["ref"]["name"], "dev.knative.sources.ping")
        for each in of(directory, "PingSource")
    }
    for each in of(directory, "SinkBinding"):
        source = sources(bound(each))
        broker = each["spec"]["sink"]["ref"]["name"]
        emitted |= {
            (broker, type_) for type_, key in CONSTANTS.items() if f"events.{key}" in source
        }
    for source in ("normalize", "candle-aggregate", "detect-pattern"):  # they use DISPLAY_SINK
        text = sources(source)
        emitted |= {("display", t) for t, key in CONSTANTS.items() if f"events.{key}" in text}
    for trigger in of(directory, "Trigger"):
        types = set(re.findall(r"'type': '([^']+)'", str(trigger["spec"]["filters"])))
        assert types, name(trigger)
        for type_ in types:
            assert (trigger["spec"]["broker"], type_) in declared, name(trigger)
            assert (trigger["spec"]["broker"], type_) in emitted, name(trigger)


def test_the_replicated_channel_is_the_channel_with_replicas() -> None:
    """The replicated channel's template, a string beyond patches, differs in replicas only."""
    one, three = (
        next(e for e in of(each, "ConfigMap") if e["metadata"]["name"] == "kandle-channel")
        for each in ("eventing", "knative/eventing/replicated")
    )
    texts = [each["data"]["channel-template-spec"] for each in (one, three)]
    templates = [yaml.safe_load(each) for each in texts]
    assert templates[1]["spec"]["stream"]["config"].pop("replicas") == 3
    assert templates[0] == templates[1]


def test_policies_allow_exactly_the_bound_sources() -> None:
    """Each Broker's policy allows exactly the sources that have it as their sink."""
    bound: dict[str, set[str]] = {}
    for each in of("eventing", "SinkBinding", "PingSource"):
        bound.setdefault(each["spec"]["sink"]["ref"]["name"], set()).add(name(each))
    allowed = {
        each["spec"]["to"][0]["ref"]["name"]: {
            source.get("sub") or f"{source['ref']['kind']}/{source['ref']['name']}"
            for source in each["spec"]["from"]
        }
        for each in of("knative/event-policies", "EventPolicy")
    }
    assert allowed.pop("display") == {"system:serviceaccount:kandle:kandle"}
    assert allowed == bound


def test_display_emitters_have_its_token(tmp_path: Path) -> None:
    """Exactly the functions with DISPLAY_SINK have its token, under the policy's account."""
    base, component = (
        os.path.relpath(ROOT / "knative" / each, tmp_path)
        for each in ("services", "event-policies/display-token")
    )
    overlay = {"resources": [base], "components": [component]}
    (tmp_path / "kustomization.yaml").write_text(yaml.safe_dump(overlay))
    services = of(str(tmp_path), "ksvc")
    emitters = set()
    for each in services:
        spec = each["spec"]["template"]["spec"]
        (container,) = spec["containers"]
        mounts = {m["name"]: m["mountPath"] for m in container.get("volumeMounts", [])}
        if "DISPLAY_SINK" not in {e["name"] for e in container["env"]}:
            assert "display-token" not in mounts
            continue
        emitters.add(name(each))
        (volume,) = (v for v in spec["volumes"] if v["name"] == "display-token")
        (source,) = volume["projected"]["sources"]
        token = source["serviceAccountToken"]
        assert token["audience"] == "eventing.knative.dev/broker/kandle/display"
        assert f"{mounts['display-token']}/{token['path']}" == DISPLAY_TOKEN_FILE
        assert spec["serviceAccountName"] == "kandle"
    assert emitters == {f"Service/{e}" for e in ("normalize", "candle-aggregate", "detect-pattern")}
