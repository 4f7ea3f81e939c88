"""`kandle doctor --cluster` names the faults of a cluster, over a scripted kubectl."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from local.cluster.doctor import examine
from local.cluster.finding import Level
from local.cluster.installation import CRDS
from local.cluster.kubectl import Kubectl as Cluster
from tests.knative.kubectl import Answer, Kubectl
from tests.knative.manifests import ROOT

pytestmark = pytest.mark.processes

Object = dict[str, Any]
TRIGGERS = [
    each["metadata"]["name"]
    for each in yaml.safe_load_all((ROOT / "eventing" / "triggers.yaml").read_text())
    if each
]


def listed(*items: Object) -> str:
    """A list as `kubectl get -o json` prints it."""
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": items})


def deployment(name: str, **labels: str) -> Object:
    """An available Deployment."""
    return conditioned("Deployment", name, "Available", labels=labels)


def conditioned(
    kind: str, name: str, condition: str = "Ready", status: str = "True", **given: Any
) -> Object:
    """An object with one condition and its `reason` and `message`."""
    words = {key: given[key] for key in ("reason", "message") if key in given}
    return {
        "kind": kind,
        "metadata": {"name": name, "labels": given.get("labels", {})},
        "spec": {},
        "status": {"conditions": [{"type": condition, "status": status, **words}]},
    }


def config(name: str, **data: str) -> str:
    """A ConfigMap."""
    return json.dumps({"kind": "ConfigMap", "metadata": {"name": name}, "data": data})


def crd(name: str, *versions: str) -> Object:
    """A CustomResourceDefinition with its served versions."""
    served = [{"name": each, "served": True} for each in versions]
    return {"kind": "CRD", "metadata": {"name": name}, "spec": {"versions": served}}


RELEASE = {"nats.eventing.knative.dev/release": "v1.22.0"}
VERSION = {"app.kubernetes.io/version": "1.22.1"}
NATS = """
url: nats://channel:SECRET@nats.kandle.svc.cluster.local:4222
connOpts: {retryOnFailedConnect: true, maxReconnects: 1000000, reconnectWaitMilliseconds: 2000}
"""
OBJECTS = [
    *(conditioned("Trigger", name) for name in TRIGGERS),
    conditioned("Broker", "ingest"),
    conditioned("Service", "normalize"),
    conditioned("Job", "migrations", "Complete"),
    {"kind": "StatefulSet", "metadata": {"name": "nats"}, "spec": {"replicas": 1},
     "status": {"readyReplicas": 1}},
    {"kind": "PersistentVolumeClaim", "metadata": {"name": "data-nats-0"}, "spec": {},
     "status": {"phase": "Bound"}},
]  # fmt: skip
HEALTHY: dict[str, Sequence[Answer]] = {
    "^version": [json.dumps({"serverVersion": {"gitVersion": "v1.36.0"}})],
    "^get deployments.apps -n knative-serving": [listed(deployment("controller", **VERSION))],
    "^get deployments.apps -n knative-eventing": [
        listed(
            deployment("eventing-controller", **VERSION),
            deployment("mt-broker-ingress", **VERSION),
            deployment("jetstream-ch-controller", **RELEASE),
        )
    ],
    "^get customresourcedefinitions": [listed(*(crd(name, v) for name, v in CRDS.items()))],
    "^get configmap config-nats": [config("config-nats", **{"eventing-nats": NATS})],
    "^get configmap config-defaults": [config("config-defaults", _example="x")],
    "^get configmap config-features": [config("config-features", _example="x")],
    "^get storageclasses": [
        listed(
            {
                "kind": "StorageClass",
                "metadata": {
                    "name": "standard",
                    "annotations": {"storageclass.kubernetes.io/is-default-class": "true"},
                },
            }
        )
    ],
    "^get namespace kandle": [json.dumps({"kind": "Namespace", "metadata": {"name": "kandle"}})],
    "^get serviceaccount default": [
        json.dumps({"kind": "ServiceAccount", "metadata": {"name": "default"}})
    ],
    "^get pods": [listed({"kind": "Pod", "metadata": {"name": "nats-0"}, "status": {}})],
    "^get brokers": [listed(*OBJECTS)],
}  # fmt: skip


def kubectl(directory: Path, changed: Mapping[str, Answer]) -> Kubectl:
    """A kubectl for the healthy cluster with some answers changed."""
    answers = HEALTHY | {pattern: [answer] for pattern, answer in changed.items()}
    return Kubectl(directory / "bin", answers)


def doctor(
    directory: Path, changed: Mapping[str, Answer] | None = None
) -> subprocess.CompletedProcess[str]:
    """The finished command, with some answers changed."""
    return subprocess.run(
        [sys.executable, "-m", "local.cli.main", "doctor", "--cluster"],
        cwd=ROOT,
        env={**os.environ, "PATH": kubectl(directory, changed or {}).path},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def test_a_healthy_cluster_has_no_error(tmp_path: Path) -> None:
    """A healthy cluster is exit code 0 with the result of each check and no password."""
    done = doctor(tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "error" not in done.stdout
    assert "Kubernetes: v1.36.0" in done.stdout
    assert "NATS JetStream channel: v1.22.0" in done.stdout
    assert "config-nats: nats.kandle.svc.cluster.local:4222" in done.stdout
    assert f"Triggers: {len(TRIGGERS)} are ready" in done.stdout
    assert "SECRET" not in done.stdout


def test_a_revision_from_before_its_binding_is_no_fault(tmp_path: Path) -> None:
    """A Revision older than its SinkBinding, which is never ready, is no fault.

    Its Service has gone on to the next one.
    """
    revision = conditioned(
        *("Deployment", "udp-bridge-00001-deployment", "Available", "False"),
        labels={"serving.knative.dev/revision": "udp-bridge-00001"},
    )
    done = doctor(tmp_path, {"^get brokers": listed(*OBJECTS, revision)})
    assert done.returncode == 0, done.stdout


def waiting(reason: str, message: str) -> str:
    """A pod with a waiting container."""
    state = {"waiting": {"reason": reason, "message": message}}
    container = {"name": "user-container", "state": state}
    status = {"containerStatuses": [container]}
    return listed({"kind": "Pod", "metadata": {"name": "p-1"}, "status": status})


FAULTS: dict[str, tuple[dict[str, Answer], str]] = {
    "an old Kubernetes": (
        {"^version": json.dumps({"serverVersion": {"gitVersion": "v1.31.4+k3s1"}})},
        "Kubernetes: v1.31.4+k3s1: 1.33 or newer is needed",
    ),
    "no channel": (
        {
            "^get deployments.apps -n knative-eventing": listed(
                deployment("eventing-controller", **VERSION)
            )
        },
        "NATS JetStream channel: no Deployment jetstream-ch-controller",
    ),
    "a kind is missing": (
        {
            "^get customresourcedefinitions": listed(
                *(crd(n, v) for n, v in list(CRDS.items())[:-1])
            )
        },
        "natsjetstreamchannels.messaging.knative.dev: the cluster does not know this kind",
    ),
    "a version is not served": (
        {"^get customresourcedefinitions": listed(*(crd(n, "v1alpha9") for n in CRDS))},
        "brokers.eventing.knative.dev: serves v1alpha9, not v1",
    ),
    "no config-nats": ({"^get configmap config-nats": ""}, "config-nats: not in knative-eventing"),
    "config-nats with url alone": (
        {
            "^get configmap config-nats": config(
                "config-nats", **{"eventing-nats": "url: nats://n:4222"}
            )
        },
        "config-nats: maxReconnects: 60: the dispatcher gives up for good",
    ),
    "config-nats with -1": (
        {
            "^get configmap config-nats": config(
                "c", **{"eventing-nats": "url: nats://n:4222\nconnOpts: {maxReconnects: -1}"}
            )
        },
        "maxReconnects: -1 ends at the first attempt",
    ),
    "requests are cut too early": (
        {"^get configmap config-defaults": config("c", **{"max-revision-timeout-seconds": "300"})},
        "300 in knative-serving/config-defaults: live-feed asks for 600",
    ),
    "no filters": (
        {"^get configmap config-features": config("c", **{"new-trigger-filters": "disabled"})},
        "new-trigger-filters: disabled",
    ),
    "no default ServiceAccount": (
        {"^get serviceaccount default": ""},
        "ServiceAccount default: not in kandle",
    ),
    "no storage class": ({"^get storageclasses": listed()}, "default storage class: none"),
    "no namespace": ({"^get namespace kandle": ""}, "Namespace kandle: is not there"),
    "an image that cannot be pulled": (
        {"^get pods": waiting("ImagePullBackOff", 'Back-off pulling image "r/kandle:v1"')},
        'Pod p-1: user-container: ImagePullBackOff: Back-off pulling image "r/kandle:v1"',
    ),
    "a broker without its sink": (
        {
            "^get brokers": listed(
                *OBJECTS,
                conditioned(
                    *("Broker", "ticks", "Ready", "False"),
                    reason="DeadLetterSinkResolveFailed",
                    message='services.serving.knative.dev "dead-letter" not found',
                ),
            )
        },
        "Broker ticks: DeadLetterSinkResolveFailed: services.serving.knative.dev"
        ' "dead-letter" not found',
    ),
    "a trigger that is not there": (
        {"^get brokers": listed(*OBJECTS[1:])},
        f"Trigger {TRIGGERS[0]}: is not there",
    ),
    "an object that says nothing": (
        {
            "^get brokers": listed(
                *OBJECTS, {"kind": "Broker", "metadata": {"name": "m"}, "spec": {}}
            )
        },
        "Broker m: has not said anything yet",
    ),
    "a job that failed": (
        {
            "^get brokers": listed(
                *OBJECTS,
                conditioned("Job", "j", "Failed", reason="BackoffLimitExceeded", message="it did"),
            )
        },
        "Job j: BackoffLimitExceeded: it did",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_each_fault_is_an_error_with_its_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    """Each fault is an error with the reason of its object."""
    changed, message = FAULTS[fault]
    monkeypatch.setenv("PATH", kubectl(tmp_path, changed).path)
    found = [
        f"{each.what}: {each.detail}"
        for each in examine(Cluster(), "kandle", ROOT)
        if each.level is Level.ERROR
    ]
    assert any(message in each for each in found), found


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"^get configmap config-nats": ""}, "config-nats: not in knative-eventing"),
        (
            {"^version": ("The connection to the server was refused", 1)},
            "kandle: kubectl version: The connection to the server was refused",
        ),
    ],
)
def test_an_error_exits_with_1(tmp_path: Path, changed: dict[str, Answer], message: str) -> None:
    """An error exits with 1, a fix and no traceback."""
    done = doctor(tmp_path, changed)
    assert done.returncode == 1, done.stdout
    assert message in done.stdout + done.stderr
    assert "Traceback" not in done.stderr
