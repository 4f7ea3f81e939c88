"""Empty environments, a wheel of this checkout, and commands in them."""

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
    """The path of uv: on PATH, or where `make` has installed it."""
    return shutil.which("uv") or shutil.which("uv", path=ROOT / ".uv/bin")


def run(*command: str | Path, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run a command to its end, without this environment's variables."""
    inherited = {name: value for name, value in os.environ.items() if name not in OWN}
    return subprocess.run(
        command, capture_output=True, text=True, timeout=300, cwd=cwd, env=inherited
    )


def checked(*command: str | Path, cwd: Path | None = None) -> str:
    """Run a command that must succeed; return its output."""
    done = run(*command, cwd=cwd)
    assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
    return done.stdout + done.stderr


def empty_environment(directory: Path) -> Path:
    """Create a virtual environment without packages; return its folder of programs."""
    checked(uv() or "uv", "venv", "--quiet", "--python", sys.executable, directory)
    return directory / "bin"


def install(programs: Path, *arguments: str | Path) -> None:
    """Install into an environment, offline if the arguments say so."""
    checked(uv() or "uv", "pip", "install", "--quiet", "--python", programs / "python", *arguments)
