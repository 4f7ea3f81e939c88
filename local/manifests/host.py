"""The whole pipeline as a folder for `kn func deploy --builder host`: no image of ours.

func uploads only the function's folder, runs `pip install` on a distribution named `function`, and
calls its `new`. `python -m local.manifests.host [FOLDER]` writes one.
"""

from __future__ import annotations

import re
import shutil
import sys
import tomllib
from pathlib import Path
from typing import Any, Final

import yaml

from local.topology.repository import repository

PACKAGES: Final = ("functions", "shared")
_OTHER_SERVER: Final = ("functions-framework", "cloudevents", "uvicorn", "uvloop", "httptools")
"""Packages that func-python replaces, or pins to its own version."""
_STARTS: Final = ("FUNCTION_TARGET", "FUNCTION_SOURCE", "ASGI_APP")
_UNUSED: Final = shutil.ignore_patterns("__pycache__", "*.proto", "func.yaml")


def write(root: Path, folder: Path) -> None:
    """Write the folder from the repository's."""
    shutil.rmtree(folder, ignore_errors=True)
    for each in PACKAGES:
        shutil.copytree(root / each, folder / each, ignore=_UNUSED)
    shutil.copytree(root / "knative/host/function", folder / "function", ignore=_UNUSED)
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    (folder / "pyproject.toml").write_text(_project(project))
    manifest = _manifest(yaml.safe_load((root / "func.yaml").read_text()))
    (folder / "func.yaml").write_text(yaml.safe_dump(manifest, sort_keys=False))


def _project(project: dict[str, Any]) -> str:
    needed = [
        each
        for each in project["optional-dependencies"]["functions"]
        if re.split(r"[^\w-]", each, maxsplit=1)[0] not in _OTHER_SERVER
    ]
    lines = "".join(f"  {_quoted(each)},\n" for each in needed)
    packages = ", ".join(_quoted(each) for each in ("function", *PACKAGES))
    return (
        '[build-system]\nrequires = ["hatchling"]\nbuild-backend = "hatchling.build"\n\n'
        f'[project]\nname = "function"\nversion = "{project["version"]}"\n'
        f'requires-python = "{project["requires-python"]}"\ndependencies = [\n{lines}]\n\n'
        "[tool.hatch.build]\nartifacts = ["
        '"functions/live_feed/dashboard/**", "functions/history_query/api/docs_page/**"]\n\n'
        f"[tool.hatch.build.targets.wheel]\npackages = [{packages}]\n"
    )


def _quoted(text: str) -> str:
    return "'" + text + "'"


def _manifest(manifest: dict[str, Any]) -> dict[str, Any]:
    envs = [each for each in manifest["run"]["envs"] if each["name"] not in _STARTS]
    return {
        **manifest,
        "invoke": "http",  # events are plain HTTP requests: the pipeline parses them itself
        "build": {"builder": "host"},
        "run": {**manifest["run"], "envs": envs},
    }


def main() -> None:
    """Command line."""
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "dist/function")
    write(repository(), folder)
    sys.stdout.write(f"now: kn func deploy --path {folder} --builder host --registry REGISTRY\n")


if __name__ == "__main__":
    main()
