"""The path of the recorded market data, which is not in the repository."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[3]


def recorded(name: str) -> Path:
    root = Path(os.environ.get("KANDLE_DATA") or REPOSITORY.parent / "shared" / "data")
    path = root / name
    if not path.is_file():
        pytest.skip(f"{path} is not there; set KANDLE_DATA to the recorded data")
    return path
