"""Refusals of Serving's webhook beyond its schema: feature flags, names, bounds.

By knative/serving: pkg/apis/serving/fieldmask.go, k8s_validation.go, and
pkg/apis/autoscaling/annotation_validation.go.
"""

from __future__ import annotations

import pytest

from tests.knative.manifests import OVERLAYS, Manifest, containers, name, of, template

pytestmark = pytest.mark.processes

REVISION = {"containerConcurrency", "timeoutSeconds", "idleTimeoutSeconds"}
REVISION |= {"responseStartTimeoutSeconds"}
POD = {"serviceAccountName", "containers", "volumes", "imagePullSecrets", "enableServiceLinks"}
POD |= {"automountServiceAccountToken"}
CONTAINER = {"name", "image", "imagePullPolicy", "command", "args", "workingDir", "env", "envFrom"}
CONTAINER |= {"ports", "livenessProbe", "readinessProbe", "startupProbe", "resources"}
CONTAINER |= {"securityContext", "volumeMounts"}
SECURITY = {"runAsUser", "runAsGroup", "runAsNonRoot", "readOnlyRootFilesystem", "capabilities"}
SECURITY |= {"allowPrivilegeEscalation", "seccompProfile"}
VOLUME = {"name", "secret", "configMap", "projected", "emptyDir"}
RESERVED = {"PORT", "K_SERVICE", "K_CONFIGURATION", "K_REVISION"}
"""Variables that Serving sets itself, and that nobody else may."""
PORT_NAMES = {None, "http1", "h2c"}
QUEUE_PROXY = {8008, 8012, 8013, 8022, 8112, 9090, 9091}
"""Ports that a container must leave to queue-proxy."""
AUTOSCALING = "autoscaling.knative.dev/"


def services() -> list[Manifest]:
    """Every Knative Service of every overlay."""
    return [each for directory in OVERLAYS for each in of(directory, "ksvc")]


def test_no_field_needs_a_feature_flag() -> None:
    """No Service has a field that needs a feature flag."""
    assert services()
    for each in services():
        spec = template(each)["spec"]
        assert set(spec) <= POD | REVISION, name(each)
        assert spec["automountServiceAccountToken"] is False, name(each)  # only false is accepted
        assert all(set(volume) <= VOLUME for volume in spec.get("volumes", ())), name(each)
        for container in containers(each):
            assert set(container) <= CONTAINER, name(each)
            assert set(container["securityContext"]) <= SECURITY, name(each)
            for variable in container["env"]:
                source = set(variable.get("valueFrom", {}))
                assert source <= {"secretKeyRef", "configMapKeyRef"}, name(each)


def test_names_and_ports_pass_serving() -> None:
    """Each Service has one port with a protocol's name, and no duplicate or reserved variable."""
    for each in services():
        (container,) = containers(each)
        (port,) = container["ports"]
        assert port.get("name") in PORT_NAMES, name(each)
        assert port["containerPort"] not in QUEUE_PROXY, name(each)
        variables = [variable["name"] for variable in container["env"]]
        assert len(set(variables)) == len(variables), name(each)
        assert not RESERVED & set(variables), name(each)
        mounted = {mount["name"] for mount in container.get("volumeMounts", ())}
        volumes = {volume["name"] for volume in template(each)["spec"].get("volumes", ())}
        assert mounted == volumes, name(each)


@pytest.mark.parametrize("bound", ["timeoutSeconds", "idleTimeoutSeconds"])
def test_timeouts_are_within_servings_limits(bound: str) -> None:
    """No timeout exceeds the revision's, nor 600 s, Serving's default maximum."""
    for each in services():
        spec = template(each)["spec"]
        assert spec.get(bound, 0) <= spec["timeoutSeconds"] <= 600, name(each)


def test_autoscaling_annotations_are_on_the_revision() -> None:
    """Autoscaling annotations are on the revision, and minima are at most maxima."""
    for each in services():
        assert not any(AUTOSCALING in key for key in each["metadata"].get("annotations", {}))
        given = template(each)["metadata"]["annotations"]
        scale = {key.removeprefix(AUTOSCALING): value for key, value in given.items()}
        assert all(isinstance(value, str) for value in scale.values()), name(each)
        assert 0 <= int(scale["min-scale"]) <= int(scale["max-scale"]), name(each)
        assert 0 < template(each)["spec"]["containerConcurrency"] <= 1000, name(each)
        assert 1 <= int(scale["target-utilization-percentage"]) <= 100, name(each)
        assert scale["metric"] in ("concurrency", "rps"), name(each)
