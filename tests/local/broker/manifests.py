"""Builds manifests of Brokers, Triggers and their channel."""

from __future__ import annotations

from typing import Any

import yaml

Manifest = dict[str, Any]
SERVICE = "subscriber"


def channel(
    namespace: str,
    name: str = "channel",
    stream: Manifest | None = None,
    **consumer: Any,
) -> Manifest:
    """A ConfigMap with a channel template."""
    config = {"retention": "Interest", "storage": "File", "duplicateWindow": "2m", **(stream or {})}
    template = {"deliverPolicy": "New", "maxAckPending": 100, **consumer}
    spec = {"stream": {"config": config}, "consumerConfigTemplate": template}
    text = yaml.safe_dump(
        {
            "apiVersion": "messaging.knative.dev/v1alpha1",
            "kind": "NatsJetStreamChannel",
            "spec": spec,
        }
    )
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "namespace": namespace},
        "data": {"channel-template-spec": text},
    }


def broker(
    namespace: str, name: str, config: str = "channel", delivery: Manifest | None = None
) -> Manifest:
    """A Broker over the channel of ConfigMap `config`."""
    spec: Manifest = {"config": {"apiVersion": "v1", "kind": "ConfigMap", "name": config}}
    if delivery:
        spec["delivery"] = delivery
    return {
        "apiVersion": "eventing.knative.dev/v1",
        "kind": "Broker",
        "metadata": {
            "name": name,
            "namespace": namespace,
            "annotations": {"eventing.knative.dev/broker.class": "MTChannelBasedBroker"},
        },
        "spec": spec,
    }


def service(name: str = SERVICE, uri: str | None = None) -> Manifest:
    """A reference to a Service, with a path if one is given."""
    ref = {"apiVersion": "serving.knative.dev/v1", "kind": "Service", "name": name}
    return {"ref": ref, "uri": uri} if uri else {"ref": ref}


def delivery(
    retry: int = 3,
    policy: str = "exponential",
    delay: str = "PT0.05S",
    *,
    sink: bool = True,
    **more: Any,
) -> Manifest:
    """A complete delivery, with dead letters going to `/sink`."""
    spec: Manifest = {"retry": retry, "backoffPolicy": policy, "backoffDelay": delay, **more}
    if sink:
        spec["deadLetterSink"] = service(uri="/sink")
    return spec


def trigger(
    namespace: str,
    name: str,
    broker: str = "main",
    *,
    filters: list[Manifest] | None = None,
    delivery: Manifest | None = None,
    subscriber: Manifest | None = None,
    **more: Any,
) -> Manifest:
    """A Trigger for events of type `name`, unless `filters` select others."""
    spec: Manifest = {
        "broker": broker,
        "subscriber": subscriber or service(uri=f"/{name}"),
        **more,
    }
    if "filter" not in more:
        spec["filters"] = [{"exact": {"type": name}}] if filters is None else filters
    if delivery is not None:
        spec["delivery"] = delivery
    return {
        "apiVersion": "eventing.knative.dev/v1",
        "kind": "Trigger",
        "metadata": {"name": name, "namespace": namespace},
        "spec": spec,
    }


def addresses(namespace: str, url: str) -> dict[str, str]:
    """The address map of the tests' one Service."""
    return {f"{SERVICE}.{namespace}.svc.cluster.local": url}
