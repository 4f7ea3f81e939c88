"""Requirements of a cluster: versions, kinds, the channel's NATS, flags, storage."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final

import yaml

from local.cluster.finding import Finding, Object, error, ok, warning
from local.cluster.kubectl import Kubectl

SERVING, EVENTING = "knative-serving", "knative-eventing"
KUBERNETES: Final = (1, 33)
KNATIVE: Final = (1, 22)
LONGEST_REQUEST_S: Final = 600
"""`timeoutSeconds` of live-feed."""
CRDS: Final = {
    "services.serving.knative.dev": "v1",
    "brokers.eventing.knative.dev": "v1",
    "triggers.eventing.knative.dev": "v1",
    "eventtypes.eventing.knative.dev": "v1beta2",
    "pingsources.sources.knative.dev": "v1",
    "sinkbindings.sources.knative.dev": "v1",
    "natsjetstreamchannels.messaging.knative.dev": "v1alpha1",
}
"""Kinds of the manifests with their API versions."""
_CONTROLLERS: Final = (
    (SERVING, "controller", "Knative Serving"),
    (EVENTING, "eventing-controller", "Knative Eventing"),
    (EVENTING, "mt-broker-ingress", "MT channel broker"),
    (EVENTING, "jetstream-ch-controller", "NATS JetStream channel"),
)
_VERSION: Final = re.compile(r"v?(\d+)\.(\d+)")
_DEFAULT_CLASS: Final = "storageclass.kubernetes.io/is-default-class"
_OPTIONS: Final = "docs/deploy.md has the whole ConfigMap"


def versions(kubectl: Kubectl) -> Iterator[Finding]:
    """Kubernetes, Serving, Eventing, the broker and the channel."""
    server = kubectl.version()["gitVersion"]
    yield _compared("Kubernetes", server, KUBERNETES)
    deployments = {
        (namespace, each["metadata"]["name"]): each
        for namespace in (SERVING, EVENTING)
        for each in kubectl.get("deployments.apps", namespace=namespace)
    }
    for namespace, name, component in _CONTROLLERS:
        deployment = deployments.get((namespace, name))
        if deployment is None:
            yield error(
                component, f"no Deployment {name} in {namespace}: install it (docs/deploy.md)"
            )
        else:
            labels = deployment["metadata"].get("labels", {})
            release = next((v for k, v in labels.items() if k.endswith("/release")), "")
            version = labels.get("app.kubernetes.io/version") or release
            yield _compared(component, version, KNATIVE)


def _compared(component: str, version: str, minimum: tuple[int, int]) -> Finding:
    match = _VERSION.match(version)
    if match is None:
        return warning(component, f"says no version ({version or 'no label'})")
    if (int(match[1]), int(match[2])) < minimum:
        return error(component, f"{version}: {minimum[0]}.{minimum[1]} or newer is needed")
    return ok(component, version)


def kinds(crds: Sequence[Object]) -> Iterator[Finding]:
    """Check that each kind of the manifests is served, in their version."""
    served = {
        each["metadata"]["name"]: {v["name"] for v in each["spec"]["versions"] if v["served"]}
        for each in crds
    }
    missing = [name for name in CRDS if name not in served]
    for name in missing:
        yield error(name, "the cluster does not know this kind: install what brings it")
    for name in served.keys() & CRDS.keys():
        if CRDS[name] not in served[name]:
            yield error(name, f"serves {', '.join(sorted(served[name]))}, not {CRDS[name]}")
    if not missing:
        yield ok("kinds", f"{len(CRDS)} are served")


def channel(config: Object | None) -> Iterator[Finding]:
    """Check that `config-nats` exists, names a server, and makes the dispatcher reconnect."""
    name = "config-nats"
    if config is None:
        yield error(name, f"not in {EVENTING}: `knative/config-nats.sh` makes it; {_OPTIONS}")
        return
    try:
        settings = yaml.safe_load(config.get("data", {}).get("eventing-nats", "")) or {}
        url, options = settings.get("url", ""), settings.get("connOpts") or {}
    except (yaml.YAMLError, AttributeError):
        yield error(name, f"its key eventing-nats is not YAML mapping; {_OPTIONS}")
        return
    if not url:
        yield error(name, f"names no url; {_OPTIONS}")
    attempts = options.get("maxReconnects", 60)
    if attempts < 0:
        yield error(name, f"maxReconnects: {attempts} ends at the first attempt; {_OPTIONS}")
    elif attempts * options.get("reconnectWaitMilliseconds", 2000) < 3_600_000:
        yield error(
            name,
            f"maxReconnects: {attempts}: the dispatcher gives up for good when NATS is away that"
            f" long, and Brokers stay Ready and answer 500; {_OPTIONS}",
        )
    elif not options.get("retryOnFailedConnect"):
        yield warning(name, f"retryOnFailedConnect is not set; {_OPTIONS}")
    elif url:
        yield ok(name, url.rpartition("@")[2])


def flags(serving: Object | None, eventing: Object | None) -> Iterator[Finding]:
    """Check that the config of Serving and Eventing allows what Kandle does."""
    defaults = (serving or {}).get("data") or {}
    longest = int(defaults.get("max-revision-timeout-seconds", LONGEST_REQUEST_S))
    if longest < LONGEST_REQUEST_S:
        yield error(
            "max-revision-timeout-seconds",
            f"{longest} in {SERVING}/config-defaults: live-feed asks for {LONGEST_REQUEST_S}",
        )
    features = {
        key: str(value).lower() for key, value in ((eventing or {}).get("data") or {}).items()
    }
    if features.get("new-trigger-filters", "enabled") == "disabled":
        yield error("new-trigger-filters", "disabled: the Triggers' filters count for nothing")
    if features.get("transport-encryption", "disabled") == "strict":
        yield error("transport-encryption", "strict: Kandle's senders post http to the Brokers")
    if features.get("authentication-oidc", "disabled") == "enabled":
        yield warning("authentication-oidc", "enabled: apply knative/event-policies too")
    yield ok("feature flags", "none is needed")


def storage(classes: Sequence[Object]) -> Iterator[Finding]:
    """Check that there is a default storage class."""
    default = [
        each["metadata"]["name"]
        for each in classes
        if each["metadata"].get("annotations", {}).get(_DEFAULT_CLASS) == "true"
    ]
    if len(default) == 1:
        yield ok("default storage class", default[0])
    elif default:
        yield warning("default storage class", f"several: {', '.join(default)}")
    else:
        yield error("default storage class", "none: volumes of the stores stay Pending")
