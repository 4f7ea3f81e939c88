"""A func.yaml as the Knative Service that kustomize applies: as func sends it, and restricted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from local.manifests.kn_func import UTILIZATION, sent

PORT: Final = 8080
"""The image's port, also Serving's default."""

_POD: Final = {"automountServiceAccountToken": False, "enableServiceLinks": False}


def service(manifest: Mapping[str, Any], image: str) -> dict[str, Any]:
    """Return the Service of a func.yaml; patches add what func.yaml cannot express."""
    made = sent(manifest, image)
    labels = {
        "app.kubernetes.io/name": manifest["name"],
        "app.kubernetes.io/part-of": "kandle",
    }
    made["metadata"]["labels"] = labels | made["metadata"]["labels"]
    template = made["spec"]["template"]
    template["metadata"]["labels"] = labels
    utilization = manifest["deploy"]["options"]["scale"]["utilization"]
    template["metadata"]["annotations"][UTILIZATION] = str(utilization)
    template["spec"] |= _POD
    named = {each["name"] for each in manifest["run"]["envs"]}
    (container,) = template["spec"]["containers"]
    template["spec"]["containers"] = [
        {
            "name": "user-container",
            **container,
            "env": [each for each in container["env"] if each["name"] in named],
            "ports": [{"containerPort": PORT}],
            "securityContext": {**container["securityContext"], "readOnlyRootFilesystem": True},
        }
    ]
    return made
