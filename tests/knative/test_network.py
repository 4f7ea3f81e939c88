"""NetworkPolicies: each workload reaches every address that it is given."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import pytest

from tests.knative.manifests import Manifest, bound, containers, name, of, template, variables
from tests.knative.readiness import STORES

pytestmark = pytest.mark.processes

BASES = {"backfill": "dev", "proof": "dev"}
"""Overlays that are applied beside another."""
GATEWAYS = ("knative-serving", "kourier-system", "istio-system", "envoy-gateway-system")
"""Where a request to a Knative Service goes: the activator, and any networking layer's gateway."""


class Peer(NamedTuple):
    """Pods in a namespace; their labels, if they are Kandle's own; and a port."""

    namespace: str
    labels: Mapping[str, str]
    port: int


def objects(overlay: str, *kinds: str) -> list[Manifest]:
    """Objects of an overlay, and of the one that it is applied beside."""
    both = [overlay, *filter(None, [BASES.get(overlay)])]
    return [each for one in both for each in of(f"knative/overlays/{one}", *kinds)]


def labels(workload: Manifest) -> dict[str, str]:
    """The labels of a workload's pods, with the one that Serving adds."""
    found = dict(template(workload)["metadata"].get("labels", {}))
    if "serving.knative.dev" in workload["apiVersion"]:
        found["serving.knative.dev/service"] = workload["metadata"]["name"]
    return found


def selects(selector: Manifest, found: Mapping[str, str]) -> bool:
    """Whether a label selector matches."""
    matched = selector.get("matchLabels", {}).items() <= found.items()
    return matched and all(
        each["key"] in found
        and (each["operator"] == "Exists" or found[each["key"]] in each["values"])
        for each in selector.get("matchExpressions", ())
    )


def lets(rule: Manifest, side: str, peer: Peer) -> bool:
    """Whether one rule of a policy lets a connection with this peer through."""
    ports = rule.get("ports")
    if ports is not None and peer.port not in [each["port"] for each in ports]:
        return False
    if side not in rule:
        return True
    for each in rule[side]:
        if "namespaceSelector" in each:
            named = {"kubernetes.io/metadata.name": peer.namespace}
            if selects(each["namespaceSelector"], named):
                return True
        elif "podSelector" in each and selects(each["podSelector"], peer.labels):
            return True
    return False


def passes(overlay: str, pod: Mapping[str, str], direction: str, peer: Peer) -> bool:
    """Whether any policy of the pod lets the connection through; each overlay denies the rest."""
    side = {"Egress": "to", "Ingress": "from"}[direction]
    return any(
        lets(rule, side, peer)
        for policy in objects(overlay, "NetworkPolicy")
        if selects(policy["spec"]["podSelector"], pod)
        for rule in policy["spec"].get(direction.lower(), ())
    )


def addresses(overlay: str, workload: Manifest) -> Iterator[tuple[str, str, int]]:
    """Each address that a workload is given: a host, and its port."""
    text: list[Any] = []
    for container in containers(workload):
        text += container.get("args", ())
        for key, variable in variables(container).items():
            text.append(variable.get("value", ""))
            secret = variable.get("valueFrom", {}).get("secretKeyRef", {}).get("name")
            if secret == "kandle-stores" and key in STORES:
                yield STORES[key], "kandle", 0
    for host, namespace, port in re.findall(
        r"http://([\w-]+)\.([\w-]+)\.svc[\w.]*(?::(\d+))?", str(text)
    ):
        yield host, namespace, int(port or 80)
    if workload["metadata"]["name"] in {bound(each) for each in objects(overlay, "SinkBinding")}:
        yield "broker-ingress", "knative-eventing", 80


def serving_pods(overlay: str, host: str) -> Iterator[Peer]:
    """The pods behind a Service or a CloudNativePG cluster, each with its ports."""
    for cluster in objects(overlay, "Cluster"):
        if cluster["metadata"]["name"] == host:
            yield Peer("kandle", cluster["spec"]["inheritedMetadata"]["labels"], 5432)
    for service in objects(overlay, "Service"):
        if service["metadata"]["name"] != host:
            continue
        for each in objects(overlay, "Deployment", "StatefulSet"):
            if service["spec"]["selector"].items() <= labels(each).items():
                for port in service["spec"]["ports"]:
                    yield Peer("kandle", labels(each), port["port"])


@pytest.mark.parametrize("overlay", ["dev", "small", "prod", "backfill", "proof"])
def test_every_address_exists_and_is_let_through(overlay: str) -> None:
    """Each address that a workload is given is of a Service there, and no policy stops its use."""
    functions = {each["metadata"]["name"] for each in objects(overlay, "ksvc")}
    checked = 0
    for workload in objects(overlay, "ksvc", "Deployment", "StatefulSet", "Job"):
        pod = labels(workload)
        for host, namespace, port in set(addresses(overlay, workload)):
            where = f"{name(workload)} to {host}.{namespace}"
            checked += 1
            if namespace != "kandle":
                assert passes(overlay, pod, "Egress", Peer(namespace, {}, port)), where
            elif host in functions:
                for gateway in GATEWAYS:
                    assert passes(overlay, pod, "Egress", Peer(gateway, {}, port)), where
            else:
                peers = list(serving_pods(overlay, host))
                assert peers, f"{where}: no such Service"
                for peer in peers:
                    assert passes(overlay, pod, "Egress", peer), where
                    sender = Peer("kandle", pod, peer.port)
                    assert passes(overlay, peer.labels, "Ingress", sender), where
    assert checked > 10
