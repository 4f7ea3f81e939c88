"""Empty environments, a wheel of this checkout, and what runs in them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
OWN = ("PYTHONPATH", "VIRTUAL_ENV", "UV_PROJECT_ENVIRONMENT", "UV_COMPILE_BYTECODE")
"""Variables by which this environment would reach into another."""


def uv() -> str | None:
    """Where uv is: on PATH, or where `make` has installed it."""
    return shutil.which("uv") or shutil.which("uv", path=ROOT / ".uv/bin")


def run(*command: str | Path, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run a command to its end, without what this environment would bring in."""
    kept = {name: value for name, value in os.environ.items() if name not in OWN}
    return subprocess.run(command, capture_output=True, text=True, timeout=300, cwd=cwd, env=kept)


def checked(*command: str | Path, cwd: Path | None = None) -> str:
    """Run a command that must succeed; return what it printed."""
    done = run(*command, cwd=cwd)
    assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
    return done.stdout + done.stderr


def empty_environment(directory: Path) -> Path:
    """Make a virtual environment without any package; return its folder of programs."""
    checked(uv() or "uv", "venv", "--quiet", "--python", sys.executable, directory)
    return directory / "bin"


def install(programs: Path, *arguments: str | Path) -> None:
    """Install into an environment, offline where the arguments say so."""
    checked(uv() or "uv", "pip", "install", "--quiet", "--python", programs / "python", *arguments)
