"""All checks of a cluster, in order of dependency."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import yaml

from local.cluster import installation, objects
from local.cluster.finding import Finding, error, ok
from local.cluster.kubectl import Kubectl

_CRDS: Final = "customresourcedefinitions.apiextensions.k8s.io"


def examine(kubectl: Kubectl, namespace: str, root: Path) -> Iterator[Finding]:
    """Yield the findings. `root`: the repository, whose eventing/ names the Triggers.

    Raises KubectlError if the cluster is unreachable.
    """
    yield from installation.versions(kubectl)
    crds = kubectl.get(_CRDS, *installation.CRDS)
    yield from installation.kinds(crds)
    yield from installation.channel(kubectl.one("configmap", "config-nats", installation.EVENTING))
    yield from installation.flags(
        kubectl.one("configmap", "config-defaults", installation.SERVING),
        kubectl.one("configmap", "config-features", installation.EVENTING),
    )
    yield from installation.storage(kubectl.get("storageclasses.storage.k8s.io"))
    if kubectl.get("namespace", namespace) == ():
        yield error(f"Namespace {namespace}", "is not there: apply an overlay")
        return
    if kubectl.one("serviceaccount", "default", namespace) is None:
        yield error("ServiceAccount default", f"not in {namespace}: Serving refuses every Service")
    else:
        yield ok("ServiceAccount default")
    installed = {each["metadata"]["name"] for each in crds}
    kinds = [each for each in objects.KINDS if each in installed or each not in installation.CRDS]
    resources = kubectl.get(",".join(kinds), namespace=namespace)
    yield from objects.pods(kubectl.get("pods", namespace=namespace))
    yield from objects.missing(resources, _triggers(root))
    yield from objects.readiness(resources)


def _triggers(root: Path) -> set[str]:
    documents = yaml.safe_load_all((root / "eventing" / "triggers.yaml").read_text())
    return {each["metadata"]["name"] for each in documents if each}
