"""Notes and manifests of a release: `python -m local.manifests.release VERSION [REG/kandle]`.

They go to dist/: notes.md from the changelog, and for each overlay a file for `kubectl apply -f`,
in which every function and bridge has the image REG/kandle:vVERSION.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, Final

import yaml

from local.errors import UsageError
from local.topology.repository import repository

OVERLAYS: Final = ("dev", "prod", "small")
_KNOWN: Final = ("dev.local/kandle", "registry.example.com/kandle")
"""The image name in the overlays."""


def main() -> None:
    """Command line."""
    root = repository()
    version, *rest = sys.argv[1:]
    dist = root / "dist"
    dist.mkdir(exist_ok=True)
    text = notes((root / "CHANGELOG.md").read_text(), version)
    if rest:
        image = f"{rest[0]}:v{version}"
        for overlay in OVERLAYS:
            (dist / f"kandle-{overlay}.yaml").write_text(pinned(root, overlay, image))
        workloads = images((dist / f"kandle-{OVERLAYS[0]}.yaml").read_text(), rest[0])
        text += "\n### Images\n" + "".join(
            f"- {name}: `{found}`\n" for name, found in sorted(workloads.items())
        )
    (dist / "notes.md").write_text(text)


def notes(changelog: str, version: str) -> str:
    """Return the changelog of a version. Raises UsageError: there is none."""
    sections = re.split(r"^## ", changelog, flags=re.MULTILINE)[1:]
    for wanted_heading in (version, "Unreleased"):
        for section in sections:
            heading, _, text = section.partition("\n")
            if re.match(rf"\[?{re.escape(wanted_heading)}\b", heading) and text.strip():
                return f"# Kandle {version}\n\n{text.strip()}\n"
    raise UsageError(f"CHANGELOG.md has neither a section {version} nor one Unreleased")


def pinned(root: Path, overlay: str, image: str) -> str:
    """Return an overlay's objects with `image` in every function and bridge. Raises UsageError."""
    name, _, tag = image.rpartition(":")
    # Inside the repository: kustomize takes no absolute path.
    with tempfile.TemporaryDirectory(dir=root / "dist") as folder:
        kustomization = {
            "resources": [f"../../knative/overlays/{overlay}"],
            "images": [{"name": each, "newName": name, "newTag": tag} for each in _KNOWN],
        }
        Path(folder, "kustomization.yaml").write_text(yaml.safe_dump(kustomization))
        done = subprocess.run(
            ["kubectl", "kustomize", folder], capture_output=True, text=True, check=False
        )
    if done.returncode:
        raise UsageError(f"overlay {overlay}: {done.stderr.strip()}")
    return done.stdout


def images(manifests: str, repository: str) -> dict[str, str]:
    """Return the workloads with an image of `repository`."""
    return {
        f"{each['kind']} {each['metadata']['name']}": image
        for each in yaml.safe_load_all(manifests)
        if each
        for container in _pod_of(each).get("containers", ())
        if (image := container["image"]).rpartition(":")[0] == repository
    }


def _pod_of(workload: dict[str, Any]) -> dict[str, Any]:
    pod: dict[str, Any] = workload.get("spec", {}).get("template", {}).get("spec", {})
    return pod


if __name__ == "__main__":
    try:
        main()
    except UsageError as error:
        sys.exit(str(error))
