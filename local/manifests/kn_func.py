"""The Service that `kn func deploy` sends for a func.yaml, by the rules of func's Knative deployer.

Source: knative/func 1.23, pkg/knative/deployer.go (`generateNewService`, `processEnvs`,
`processVolumes`, `setServiceOptions`). Left out is what no cluster of Kandle reads: the annotations
for Dapr and the labels of func's former name. `BUILT` is the time of the deployment, so that each
deployment is a revision.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import yaml

_SECURITY: Final = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "runAsNonRoot": True,
    "seccompProfile": {"type": "RuntimeDefault"},
}
_SOURCES: Final = {"secret": "secretKeyRef", "configMap": "configMapKeyRef"}
_AUTOSCALING: Final = "autoscaling.knative.dev"
_PROBES: Final = {"liveness": "/health/liveness", "readiness": "/health/readiness"}


def sent(function: Mapping[str, Any], image: str) -> dict[str, Any]:
    """Return the Service. Raises ValueError for an environment entry that func refuses."""
    deploy = function["deploy"]
    labels = {each["key"]: each["value"] for each in deploy.get("labels", ())}
    labels |= {
        "function.knative.dev": "true",
        "function.knative.dev/name": function["name"],
        "function.knative.dev/runtime": function["runtime"],
    }
    annotations = dict(deploy.get("annotations", {}))
    options = deploy.get("options", {})
    limits = dict(options.get("resources", {}).get("limits", {}))
    concurrency = limits.pop("concurrency", None)
    probes = _PROBES | deploy.get("healthEndpoints", {})
    volumes, mounts = _volumes(function["run"].get("volumes", ()))
    container = {
        "image": image,
        "env": _environment(function["run"].get("envs", ())),
        "livenessProbe": {"httpGet": {"path": probes["liveness"]}},
        "readinessProbe": {"httpGet": {"path": probes["readiness"]}},
        "resources": {"requests": options["resources"]["requests"], "limits": limits},
        "securityContext": _SECURITY,
        "volumeMounts": mounts,
    }
    return {
        "apiVersion": "serving.knative.dev/v1",
        "kind": "Service",
        "metadata": {
            "name": function["name"],
            "namespace": deploy["namespace"],
            "labels": labels,
            "annotations": annotations,
        },
        "spec": {
            "template": {
                "metadata": {
                    "labels": labels,
                    "annotations": annotations | _scale(options.get("scale", {})),
                },
                "spec": {
                    "serviceAccountName": deploy.get("serviceAccountName", ""),
                    "containerConcurrency": concurrency,
                    "containers": [container],
                    "volumes": volumes,
                },
            }
        },
    }


def _environment(entries: Any) -> list[dict[str, Any]]:
    variables: list[dict[str, Any]] = [{"name": "BUILT", "value": "(time of the deployment)"}]
    for entry in entries:
        name, value = entry.get("name"), entry["value"]
        if not value.startswith("{{"):
            variables.append({"name": name, "value": value})
            continue
        parts = [each.strip() for each in value.strip("{} ").split(":")]
        if name is None or len(parts) != 3 or parts[0] not in _SOURCES:
            raise ValueError(f"{name or value}: Kandle uses secret:NAME:KEY and configMap:NAME:KEY")
        kind, source, key = parts
        variables.append(
            {"name": name, "valueFrom": {_SOURCES[kind]: {"name": source, "key": key}}}
        )
    if all(each["name"] != "ADDRESS" for each in variables):
        variables.append({"name": "ADDRESS", "value": "0.0.0.0"})
    return variables


def _volumes(entries: Any) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return volumes and mounts; func ends the name of an emptyDir with seven random letters."""
    volumes, mounts = [], []
    for n, entry in enumerate(entries):
        name = f"empty-dir-{n}"
        volumes.append({"name": name, "emptyDir": entry["emptyDir"]})
        mounts.append({"name": name, "mountPath": entry["path"]})
    return volumes, mounts


def _scale(scale: Mapping[str, Any]) -> dict[str, str]:
    annotations = {}
    for field, annotation, form in (
        ("min", "min-scale", "{:d}"),
        ("max", "max-scale", "{:d}"),
        ("metric", "metric", "{}"),
        ("target", "target", "{:f}"),
        ("utilization", "target-utilization-percentage", "{:f}"),
    ):
        if field in scale:
            annotations[f"{_AUTOSCALING}/{annotation}"] = form.format(scale[field])
    return annotations


def main() -> None:
    """Print it."""
    parser = argparse.ArgumentParser(prog="python -m local.manifests.kn_func", description=__doc__)
    parser.add_argument("folder", type=Path, help="where func.yaml is")
    parser.add_argument("--image", required=True)
    options = parser.parse_args()
    function = yaml.safe_load((options.folder / "func.yaml").read_text())
    yaml.safe_dump(sent(function, options.image), sys.stdout, sort_keys=False)


if __name__ == "__main__":
    main()
