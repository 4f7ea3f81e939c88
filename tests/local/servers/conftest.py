from __future__ import annotations

from pathlib import Path

import pytest

from local.servers.server import Place


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place.at(tmp_path / "platform")
