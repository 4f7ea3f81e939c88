"""Files that `make release` writes beside the packages: notes, and manifests of the image."""

from __future__ import annotations

import shutil
import tomllib
from pathlib import Path

import pytest
import yaml

from local.errors import UsageError
from local.manifests.release import OVERLAYS, images, notes, pinned
from local.topology.repository import repository

ROOT = repository()
CHANGELOG = """# Changelog
About it.

## Unreleased
### Added
- What comes.

## [1.2.0] - 2026-01-05
### Added
- What came.

## 1.1.0
- What was there.
"""


@pytest.fixture(scope="module")
def overlays(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Each overlay with the image of a release, built from a copy of the manifests."""
    if shutil.which("kubectl") is None:
        pytest.skip("kubectl is not installed")
    root = tmp_path_factory.mktemp("root")
    for name in ("knative", "eventing"):
        shutil.copytree(ROOT / name, root / name)
    (root / "dist").mkdir()
    return {each: pinned(root, each, "registry.test:5000/acme/kandle:v9.9.9") for each in OVERLAYS}


def test_notes_are_the_section_of_the_version_or_unreleased() -> None:
    """Notes are the version's section of the changelog, or Unreleased."""
    assert notes(CHANGELOG, "1.2.0") == "# Kandle 1.2.0\n\n### Added\n- What came.\n"
    assert notes(CHANGELOG, "1.1.0") == "# Kandle 1.1.0\n\n- What was there.\n"
    assert notes(CHANGELOG, "1.3.0") == "# Kandle 1.3.0\n\n### Added\n- What comes.\n"
    with pytest.raises(UsageError, match=r"a section 1\.3\.0"):
        notes("# Changelog\n## Unreleased\n## 1.2.0\n- x\n", "1.3.0")


@pytest.mark.processes
def test_every_workload_of_an_overlay_has_the_image_of_the_release(
    overlays: dict[str, str],
) -> None:
    """Each workload of an overlay has the release's image, and all functions are there."""
    for name, text in overlays.items():
        assert "dev.local/" not in text, name
        assert "registry.example.com/" not in text, name
        found = images(text, "registry.test:5000/acme/kandle")
        assert set(found.values()) == {"registry.test:5000/acme/kandle:v9.9.9"}
    stages = {yaml.safe_load(f.read_text())["name"] for f in ROOT.glob("functions/*/func.yaml")}
    workloads = images(overlays["prod"], "registry.test:5000/acme/kandle")
    assert {f"Service {each}" for each in stages} <= set(workloads)
    assert {"Deployment udp-listener", "Deployment exchange-bridge"} <= set(workloads)


def test_the_version_has_one_place() -> None:
    """Each image and chart of a release has the version of pyproject.toml."""
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]

    def of(path: str) -> str:
        return Path(ROOT, path).read_text()

    assert f"newTag: v{version}}}" in of("knative/overlays/prod/kustomization.yaml")
    assert f"kandle:v{version}" in of("knative/argocd/application.yaml")
    chart = yaml.safe_load(of("knative/chart/Chart.yaml"))
    assert chart["version"] == chart["appVersion"] == version
