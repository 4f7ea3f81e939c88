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
UTILIZATION: Final = f"{_AUTOSCALING}/target-utilization-percentage"
_ADDED: Final = {"BUILT": "(time of the deployment)", "ADDRESS": "0.0.0.0"}
"""Variables that func adds where func.yaml does not name them."""


def sent(function: Mapping[str, Any], image: str) -> dict[str, Any]:
    """Return the Service. Raises ValueError for an environment entry that func refuses."""
    deploy, run = function["deploy"], function["run"]
    options, probes = deploy["options"], deploy["healthEndpoints"]
    scale = options["scale"]
    labels = {
        "function.knative.dev": "true",
        "function.knative.dev/name": function["name"],
        "function.knative.dev/runtime": function["runtime"],
        **{each["key"]: each["value"] for each in deploy.get("labels", ())},
    }
    limits = dict(options["resources"]["limits"])
    concurrency = limits.pop("concurrency")
    own = {each["name"] for each in run["envs"]}
    added = [{"name": name, "value": of} for name, of in _ADDED.items() if name not in own]
    container = {
        "image": image,
        "env": [*map(_variable, run["envs"]), *added],
        "livenessProbe": {"httpGet": {"path": probes["liveness"]}},
        "readinessProbe": {"httpGet": {"path": probes["readiness"]}},
        "resources": {"requests": options["resources"]["requests"], "limits": limits},
        "securityContext": _SECURITY,
    }
    spec = {
        "serviceAccountName": deploy["serviceAccountName"],
        "containerConcurrency": concurrency,
        "containers": [container],
    }
    if volumes := run.get("volumes"):
        # func ends the name of an emptyDir with seven random letters
        names = [each["path"].strip("/").replace("/", "-") for each in volumes]
        named = list(zip(names, volumes, strict=True))
        spec["volumes"] = [{"name": n, "emptyDir": each["emptyDir"]} for n, each in named]
        container["volumeMounts"] = [{"name": n, "mountPath": each["path"]} for n, each in named]
    return {
        "apiVersion": "serving.knative.dev/v1",
        "kind": "Service",
        "metadata": {
            "name": function["name"],
            "namespace": deploy["namespace"],
            "labels": labels,
        },
        "spec": {
            "template": {
                "metadata": {
                    "labels": labels,
                    "annotations": {
                        f"{_AUTOSCALING}/min-scale": str(scale["min"]),
                        f"{_AUTOSCALING}/max-scale": str(scale["max"]),
                        f"{_AUTOSCALING}/metric": scale["metric"],
                        UTILIZATION: f"{scale['utilization']:f}",
                    },
                },
                "spec": spec,
            }
        },
    }


def _variable(entry: Mapping[str, str]) -> dict[str, Any]:
    name, value = entry["name"], entry["value"]
    if not value.startswith("{{"):
        return {"name": name, "value": value}
    kind, *reference = (each.strip() for each in value.strip("{} ").split(":"))
    if kind not in _SOURCES or len(reference) != 2:
        raise ValueError(f"{name}: Kandle uses secret:NAME:KEY and configMap:NAME:KEY")
    source, key = reference
    return {"name": name, "valueFrom": {_SOURCES[kind]: {"name": source, "key": key}}}


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
