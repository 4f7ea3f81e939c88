"""Dependencies of each object's readiness, by the rules of Knative and Kubernetes.

A graph of the manifests, without a cluster. It answers two questions: which objects of a set never
become Ready when all of it is applied at once, in any order; and which wait of a sequence of
`kubectl apply` and `kubectl wait` would last forever.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.knative.manifests import Manifest, containers, template

Key = tuple[str, str]
"""Kind and name; a Knative Service is a `ksvc`, a Service of Kubernetes a `Service`."""

STORES = {
    "DATABASE_URL": "postgres",
    "REDIS_URL": "valkey",
    "NATS_URL": "nats",
    "S3_ENDPOINT_URL": "minio",
}
"""A function that reads the address of a store is Ready when the store is."""
CHANNEL_SERVER: Key = ("StatefulSet", "nats")
"""What is behind the channel where `config-nats` names Kandle's own NATS."""
MADE_BY: Mapping[str, Key] = {
    "kandle-servers": ("Job", "secrets"),
    "kandle-stores": ("Job", "secrets"),
}
"""Secrets that a Job makes where no vault has them."""
RUNNING = ("ksvc", "Deployment", "StatefulSet", "Job")


def key(manifest: Manifest) -> Key:
    """Kind and name of an object."""
    knative_service = "serving.knative.dev" in manifest["apiVersion"]
    kind = "ksvc" if knative_service else manifest["kind"]
    return kind, manifest["metadata"]["name"]


@dataclass(frozen=True)
class Readiness:
    """Applied objects, each with the objects that have to be Ready before it."""

    needs: dict[Key, set[Key]] = field(default_factory=dict)

    @classmethod
    def of(cls, manifests: Iterable[Manifest]) -> Readiness:
        """The graph of these objects."""
        objects = {key(each): each for each in manifests}
        bound = {
            _target(each["spec"]["subject"]): found
            for found, each in objects.items()
            if found[0] == "SinkBinding" and "selector" not in each["spec"]["subject"]
        }
        needs = {found: set(_needs(each, objects)) for found, each in objects.items()}
        for subject, binding in bound.items():
            # without K_SINK a function is not Ready, and a source sends nothing
            if subject in needs:
                needs[subject].add(binding)
        return cls(needs)

    def ready(self) -> set[Key]:
        """The objects that become Ready: the least fixed point."""
        found: set[Key] = set()
        while new := {each for each, needs in self.needs.items() if needs <= found} - found:
            found |= new
        return found

    def never_ready(self) -> dict[Key, set[Key]]:
        """The objects that never do, each with what it waits for."""
        ready = self.ready()
        return {each: needs - ready for each, needs in self.needs.items() if each not in ready}

    def circle(self) -> list[Key]:
        """Objects that wait for each other, in order; empty if there are none."""
        waiting = self.never_ready()
        for start in waiting:
            path = [start]
            while following := min((waiting.get(path[-1]) or {start}) & set(waiting), default=None):
                if following in path:
                    return path[path.index(following) :]
                path.append(following)
        return []


def _needs(manifest: Manifest, objects: Mapping[Key, Manifest]) -> Iterator[Key]:
    spec, kind = manifest.get("spec", {}), key(manifest)[0]
    if kind in RUNNING:
        yield from _pod_needs(manifest, objects)
    if kind == "Broker":
        yield from _reference(spec.get("config"))
        yield from _sink(spec.get("delivery"))
        if CHANNEL_SERVER in objects:
            yield CHANNEL_SERVER
    if kind == "Trigger":
        yield "Broker", spec["broker"]
        yield from _reference(spec["subscriber"].get("ref"))
        yield from _sink(spec.get("delivery"))
    if kind in ("SinkBinding", "PingSource"):
        yield from _reference(spec["sink"].get("ref"))
    named = kind == "SinkBinding" and "selector" not in spec["subject"]
    if named and (subject := _target(spec["subject"])) not in objects:
        yield subject


def _pod_needs(manifest: Manifest, objects: Mapping[Key, Manifest]) -> Iterator[Key]:
    pod = template(manifest)["spec"]
    yield "ServiceAccount", pod.get("serviceAccountName", "default")
    for volume in pod.get("volumes", ()):
        if "configMap" in volume:
            yield "ConfigMap", volume["configMap"]["name"]
    for container in containers(manifest):
        for variable in container.get("env", ()):
            reference = variable.get("valueFrom", {}).get("secretKeyRef")
            if reference is not None and not reference.get("optional"):
                yield _maker(reference["name"], objects)
            if (store := STORES.get(variable["name"])) is not None:
                yield from _store(store, objects)
        for argument in container.get("args", ()):  # an init container that waits for Triggers
            if isinstance(argument, str) and argument.startswith("trigger.eventing.knative.dev/"):
                yield "Trigger", argument.partition("/")[2]


def _maker(secret: str, objects: Mapping[Key, Manifest]) -> Key:
    """The creator of a Secret: an ExternalSecret, else the Job, else None."""
    external = ("ExternalSecret", secret)
    if external in objects or secret not in MADE_BY:
        return external
    return MADE_BY[secret]


def _store(name: str, objects: Mapping[Key, Manifest]) -> Iterator[Key]:
    """The workload of a store; None for an external one."""
    yield from (each for each in (("StatefulSet", name), ("Cluster", name)) if each in objects)


def _sink(delivery: Mapping[str, Any] | None) -> Iterator[Key]:
    """The dead letter sink: a `ref` must have an address, a `uri` alone needs nothing."""
    yield from _reference((delivery or {}).get("deadLetterSink", {}).get("ref"))


def _reference(reference: Mapping[str, Any] | None) -> Iterator[Key]:
    if reference is not None:
        yield _target(reference)


def _target(reference: Mapping[str, Any]) -> Key:
    serving = "serving.knative.dev" in reference["apiVersion"]
    return ("ksvc" if serving else reference["kind"]), reference["name"]
