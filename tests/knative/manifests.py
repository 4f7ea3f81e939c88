"""Every manifest of the project, as files and as kustomize builds them."""

from __future__ import annotations

import ast
import functools
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from local.topology.fields import LOADER

ROOT = Path(__file__).parents[2]
CRDS = ROOT.parent / "shared" / "crds"
Manifest = dict[str, Any]

BUILDS = sorted(
    str(path.parent.relative_to(ROOT))
    for folder in ("eventing", "knative")
    for path in (ROOT / folder).rglob("kustomization.yaml")
)
"""Every directory that `kubectl apply -k` takes."""
OVERLAYS = [each for each in BUILDS if each.startswith("knative/overlays/")]
EVENTING = ["eventing", *(each for each in BUILDS if each.startswith("knative/eventing/"))]


def name(manifest: Manifest) -> str:
    """Kind and name, for messages."""
    return f"{manifest['kind']}/{manifest['metadata']['name']}"


@functools.cache
def built(directory: str) -> tuple[Manifest, ...]:
    """The objects that kustomize builds from a directory."""
    if shutil.which("kubectl") is None:
        pytest.skip("kubectl is not installed: it builds the kustomizations")
    result = subprocess.run(
        ["kubectl", "kustomize", str(ROOT / directory)], capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr[-1000:]
    return tuple(yaml.load_all(result.stdout, LOADER))


def template(manifest: Manifest) -> Manifest:
    """The pod template of a workload; empty for other kinds."""
    found = manifest.get("spec", {}).get("template", {})
    return found if isinstance(found, dict) else {}


def containers(manifest: Manifest) -> Iterator[Manifest]:
    """The containers of a workload, init containers included; empty for other kinds."""
    spec = template(manifest).get("spec", {})
    yield from spec.get("initContainers", [])
    yield from spec.get("containers", [])


@functools.cache
def crd_schemas() -> dict[tuple[str, str], Manifest]:
    """The official schemas, by apiVersion and kind."""
    found = {}
    for path in sorted(CRDS.glob("*.yaml")):
        for each in yaml.load_all(re.sub(r"\{\{.*?\}\}", "", path.read_text()), LOADER):
            if not each or each.get("kind") != "CustomResourceDefinition":
                continue
            for version in each["spec"]["versions"]:
                key = (f"{each['spec']['group']}/{version['name']}", each["spec"]["names"]["kind"])
                found[key] = version["schema"]["openAPIV3Schema"]
    return found


def unknown_fields(value: Any, schema: Manifest, at: str = "") -> Iterator[str]:
    """Fields that a schema lacks: the API server would prune or refuse them."""
    if schema.get("x-kubernetes-preserve-unknown-fields") and "properties" not in schema:
        return
    if isinstance(value, list):
        for n, each in enumerate(value):
            yield from unknown_fields(each, schema.get("items", {}), f"{at}[{n}]")
    elif isinstance(value, dict):
        known = schema.get("properties", {})
        others = schema.get("additionalProperties")
        for key, each in value.items():
            if key in known:
                yield from unknown_fields(each, known[key], f"{at}.{key}")
            elif isinstance(others, dict):
                yield from unknown_fields(each, others, f"{at}.{key}")
            elif not others and not schema.get("x-kubernetes-preserve-unknown-fields"):
                yield f"{at}.{key}"


def bound(binding: Manifest) -> str:
    """The workload of a SinkBinding: by its name, or Jobs by their label."""
    subject = binding["spec"]["subject"]
    if "selector" in subject:
        return str(subject["selector"]["matchLabels"]["app.kubernetes.io/name"])
    return str(subject["name"])


def of(directory: str, *kinds: str) -> list[Manifest]:
    """The objects of these kinds that a directory builds; a Knative Service is a `ksvc`."""
    return [
        each
        for each in built(directory)
        if ("ksvc" if "serving.knative.dev" in each["apiVersion"] else each["kind"]) in kinds
    ]


def variables(container: Manifest) -> dict[str, Any]:
    """The environment of a container, by name."""
    return {each["name"]: each for each in container.get("env", ())}


def sources(workload: str) -> str:
    """The source files of a workload: its stage, and what bridges and normalize share."""
    stages = {"udp-listener": "udp_bridge", "live-grpc": "live_feed", "backfill": "exchange_bridge"}
    stage = stages.get(workload, workload)
    folder = ROOT / "functions" / stage.replace("-", "_")
    folders = [ROOT / "functions"] if workload == "kandle" else [folder]
    if "bridge" in stage or workload == "kandle":
        folders.append(ROOT / "shared" / "sources")
    files = [file for each in folders for file in sorted(each.rglob("*.py"))]
    if stage in ("normalize", "kandle"):
        files.append(ROOT / "shared" / "inputs" / "outgoing.py")
    return "\n".join(file.read_text() for file in files)


@functools.cache
def required_settings(code: str) -> set[frozenset[str]]:
    """The settings without a default, each with the one that may take its place."""
    calls = [each for each in ast.walk(ast.parse(code)) if isinstance(each, ast.Call)]
    return {
        frozenset(map(ast.literal_eval, (call.args[0], *(word.value for word in call.keywords))))
        for call in calls
        if getattr(call.func, "attr", getattr(call.func, "id", "")) == "text"
        and len(call.args) == 1
        and isinstance(call.args[0], ast.Constant)
        and str(call.args[0].value).isupper()
    }
