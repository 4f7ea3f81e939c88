"""A func.yaml as the Knative Service created by `kn func deploy`."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

PORT: Final = 8080
"""The image's port, also Serving's default."""

_REFERENCE = re.compile(r"\{\{\s*(secret|configMap):([^:}\s]+):([^:}\s]+)\s*\}\}")
_AUTOSCALING: Final = "autoscaling.knative.dev"
_PART_OF: Final = {"app.kubernetes.io/part-of": "kandle"}
_RESTRICTED: Final = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "readOnlyRootFilesystem": True,
    "runAsNonRoot": True,
    "seccompProfile": {"type": "RuntimeDefault"},
}


def service(manifest: Mapping[str, Any], image: str) -> dict[str, Any]:
    """Return the Service of a func.yaml; patches add what func.yaml cannot express."""
    name, deploy = manifest["name"], manifest["deploy"]
    scale, resources = deploy["options"]["scale"], dict(deploy["options"]["resources"])
    limits = dict(resources["limits"])
    concurrency = limits.pop("concurrency")
    labels = {each["key"]: each["value"] for each in deploy.get("labels", ())}
    mounts, volumes = _volumes(manifest["run"].get("volumes", ()))
    part_labels = {"app.kubernetes.io/name": name, **_PART_OF}
    return {
        "apiVersion": "serving.knative.dev/v1",
        "kind": "Service",
        "metadata": {
            "name": name,
            "namespace": deploy["namespace"],
            "labels": {
                **part_labels,
                "function.knative.dev": "true",  # `kn func list` shows it
                "function.knative.dev/name": name,
                "function.knative.dev/runtime": manifest["runtime"],
                **labels,
            },
        },
        "spec": {
            "template": {
                "metadata": {
                    "annotations": {
                        f"{_AUTOSCALING}/min-scale": str(scale["min"]),
                        f"{_AUTOSCALING}/max-scale": str(scale["max"]),
                        f"{_AUTOSCALING}/metric": scale["metric"],
                        f"{_AUTOSCALING}/target-utilization-percentage": str(scale["utilization"]),
                    },
                    "labels": part_labels,
                },
                "spec": {
                    "serviceAccountName": deploy["serviceAccountName"],
                    "automountServiceAccountToken": False,
                    "enableServiceLinks": False,
                    "containerConcurrency": concurrency,
                    "containers": [
                        {
                            "name": "user-container",
                            "image": image,
                            "env": [_variable(each) for each in manifest["run"]["envs"]],
                            "ports": [{"containerPort": PORT}],
                            "livenessProbe": _probe(deploy["healthEndpoints"]["liveness"]),
                            "readinessProbe": _probe(deploy["healthEndpoints"]["readiness"]),
                            "resources": {**resources, "limits": limits},
                            "securityContext": _RESTRICTED,
                            **mounts,
                        }
                    ],
                    **volumes,
                },
            }
        },
    }


def _volumes(
    entries: Sequence[Mapping[str, Any]],
) -> tuple[dict[str, list[Any]], dict[str, list[Any]]]:
    """Return the mounts of the container and the volumes of the pod, if there are any."""
    if not entries:
        return {}, {}
    names = [each["path"].strip("/").replace("/", "-") for each in entries]
    mounts = [
        {"name": name, "mountPath": each["path"]} for name, each in zip(names, entries, strict=True)
    ]
    volumes = [
        {"name": name, "emptyDir": each["emptyDir"]}
        for name, each in zip(names, entries, strict=True)
    ]
    return {"volumeMounts": mounts}, {"volumes": volumes}


def _variable(entry: Mapping[str, str]) -> dict[str, Any]:
    match = _REFERENCE.fullmatch(entry["value"])
    if match is None:
        return {"name": entry["name"], "value": entry["value"]}
    kind, source, key = match.groups()
    reference = "secretKeyRef" if kind == "secret" else "configMapKeyRef"
    return {"name": entry["name"], "valueFrom": {reference: {"name": source, "key": key}}}


def _probe(path: str) -> dict[str, Any]:
    return {"httpGet": {"path": path}}
