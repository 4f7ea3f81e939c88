"""Lookup of programs in wheels. PATH is not searched: the lock file pins what runs."""

from __future__ import annotations

import os
from importlib.metadata import PackageNotFoundError, files
from pathlib import Path

from local.errors import StartError


def program(distribution: str, name: str) -> Path:
    """Path of the program `name` of the wheel `distribution`.

    Raises StartError: the wheel is not installed, or has no such program.
    """
    try:
        installed = files(distribution) or []
    except PackageNotFoundError:
        raise StartError(
            f"the package {distribution} is not installed: "
            "pip install 'kandle[local]' (in a checkout: make setup)"
        ) from None
    for file in installed:
        path = Path(os.path.realpath(str(file.locate())))
        if path.name == name and os.access(path, os.X_OK):
            return path
    raise StartError(
        f"the package {distribution} has no program {name} for this machine: "
        "there are wheels for Linux (x86-64, aarch64) and macOS (arm64)"
    )
