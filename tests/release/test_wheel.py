"""An installation from this checkout's wheel, in an environment of its own."""

from __future__ import annotations

import importlib.util
import zipfile
from pathlib import Path

import pytest

from tests.release.environments import ROOT, empty_environment, install, run, uv

pytestmark = pytest.mark.processes

PLATFORM = "kandle/_platform/"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built without a network; `make setup` has cached the build backend."""
    program = uv()
    if program is None:
        pytest.skip("uv is neither on PATH nor in .uv/")
    folder = tmp_path_factory.mktemp("dist")
    built = run(program, "build", "--wheel", "--offline", "--quiet", "--out-dir", folder, ROOT)
    if "network connectivity is disabled" in built.stderr:
        pytest.skip("hatchling is not in uv's cache")
    assert built.returncode == 0, built.stderr
    return next(folder.glob("*.whl"))


@pytest.fixture(scope="module")
def programs(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The programs of an environment with Kandle and none of its dependencies."""
    programs = empty_environment(tmp_path_factory.mktemp("environment"))
    install(programs, "--offline", "--no-deps", wheel)
    return programs


def with_dependencies(programs: Path, distribution: str) -> None:
    """Give the environment the packages of `distribution` as installed here."""
    spec = importlib.util.find_spec(distribution)
    assert spec is not None
    assert spec.origin is not None
    site = next((programs.parent / "lib").glob("python*/site-packages"))
    (site / "dependencies.pth").write_text(str(Path(spec.origin).parents[1]))


def test_a_wheel_has_one_package_with_the_whole_platform(wheel: Path) -> None:
    """The wheel has one top-level package with code, topology, bridges and migrations."""
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    assert {name.split("/")[0].partition("-")[0] for name in names} == {"kandle"}
    folders = ("functions", "shared", "local", "eventing", "knative/bridges")
    needed = {
        str(path.relative_to(ROOT))
        for folder in folders
        for path in (ROOT / folder).rglob("*")
        if path.is_file() and path.suffix != ".pyc"
    }
    assert len(needed) > 500
    assert {PLATFORM + name for name in (*needed, "func.yaml")} <= names


def test_the_command_without_its_extra_says_what_to_install(programs: Path, tmp_path: Path) -> None:
    """Without its extra the command has a version, and else names what to install.

    Nothing of the platform can be imported by others.
    """
    assert run(programs / "kandle", "--version").stdout.startswith("kandle ")
    refused = run(programs / "kandle", "demo")
    assert refused.returncode == 1
    assert "pip install 'kandle[local]'" in refused.stderr
    assert len(refused.stderr.splitlines()) == 1
    for name in ("functions", "shared", "local"):
        imported = run(programs / "python", "-c", f"import {name}", cwd=tmp_path)
        assert f"No module named '{name}'" in imported.stderr


def test_the_command_runs_from_an_empty_folder(programs: Path, tmp_path: Path) -> None:
    """The command finds functions and topology in the package, not in the current folder."""
    with_dependencies(programs, "httpx")
    refused = run(programs / "kandle", "up", "--functions", "nonsense", cwd=tmp_path)
    assert refused.returncode == 2, refused.stderr
    assert "candle-aggregate" in refused.stderr
