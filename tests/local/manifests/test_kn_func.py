"""`kn func deploy` sends for a func.yaml what kustomize applies, but for a known rest."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from local.manifests.kn_func import sent
from tests.knative.manifests import of

ROOT = Path(__file__).parents[3]
FUNCTIONS = [*sorted(ROOT.glob("functions/*/func.yaml")), ROOT / "func.yaml"]
ONLY_FUNC = {
    "env.ADDRESS",
    "env.BUILT",
    "pod labels.function.knative.dev",
    "pod labels.function.knative.dev/name",
    "pod labels.function.knative.dev/runtime",
    "pod labels.kandle.dev/endpoint",
    "pod labels.kandle.dev/needs",
    "pod labels.networking.knative.dev/visibility",
}
"""What func alone sends; the apply after it takes the variables back."""
ONLY_KUSTOMIZE = {
    "env.ALERT_URLS",
    "labels.app.kubernetes.io/name",
    "labels.app.kubernetes.io/part-of",
    "pod labels.app.kubernetes.io/name",
    "pod labels.app.kubernetes.io/part-of",
    "annotations.autoscaling.knative.dev/scale-down-delay",
    "annotations.autoscaling.knative.dev/scale-to-zero-pod-retention-period",
    "spec.automountServiceAccountToken",
    "spec.enableServiceLinks",
    "spec.timeoutSeconds",
    "spec.idleTimeoutSeconds",
    "container.name",
    "container.ports",
    "security.readOnlyRootFilesystem",
}
"""What func.yaml has no words for: the apply after `kn func deploy` adds it."""


def fields(service: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """The facts of a Service, each under a name of its own."""
    template = service["spec"]["template"]
    spec = dict(template["spec"])
    (container,) = spec.pop("containers")
    container = dict(container)
    volumes = {each["name"]: each for each in spec.pop("volumes", ())}
    yield from ((f"labels.{k}", v) for k, v in service["metadata"]["labels"].items())
    yield from ((f"pod labels.{k}", v) for k, v in template["metadata"]["labels"].items())
    for key, value in template["metadata"]["annotations"].items():
        number = value.replace(".", "").isdigit()  # func writes 60.000000
        yield f"annotations.{key}", float(value) if number else value
    yield from ((f"env.{each['name']}", each) for each in container.pop("env"))
    yield from ((f"security.{k}", v) for k, v in container.pop("securityContext").items())
    for mount in container.pop("volumeMounts", ()):
        yield f"mount.{mount['mountPath']}", volumes[mount["name"]]["emptyDir"]
    yield from ((f"container.{k}", v) for k, v in container.items())
    yield from ((f"spec.{k}", v) for k, v in spec.items())
    yield "name", service["metadata"]["name"]
    yield "namespace", service["metadata"]["namespace"]


@pytest.mark.processes
@pytest.mark.parametrize("path", FUNCTIONS, ids=lambda path: path.parent.name)
def test_both_ways_send_the_same_service(path: Path) -> None:
    """Both ways send equal variables, secrets, probes, resources, scale, volumes and labels."""
    function = yaml.safe_load(path.read_text())
    overlay = "small" if path.parent == ROOT else "dev"
    (applied,) = (
        each
        for each in of(f"knative/overlays/{overlay}", "ksvc")
        if each["metadata"]["name"] == function["name"]
    )
    image = applied["spec"]["template"]["spec"]["containers"][0]["image"]
    by_func, by_kustomize = dict(fields(sent(function, image))), dict(fields(applied))
    assert by_func.keys() - by_kustomize.keys() <= ONLY_FUNC
    assert by_kustomize.keys() - by_func.keys() <= ONLY_KUSTOMIZE
    for key in by_func.keys() & by_kustomize.keys():
        assert by_func[key] == by_kustomize[key], key


def test_a_value_that_func_would_refuse_is_an_error() -> None:
    """A secret without a key in an entry with a name, which func refuses, is an error."""
    function = yaml.safe_load(FUNCTIONS[0].read_text())
    function["run"]["envs"].append({"name": "X", "value": "{{ secret:kandle-stores }}"})
    with pytest.raises(ValueError, match="X: Kandle uses"):
        sent(function, "image")
