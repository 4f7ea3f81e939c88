from __future__ import annotations

from pathlib import Path

import pytest

from local.servers.server import Workspace


@pytest.fixture
def place(tmp_path: Path) -> Workspace:
    return Workspace.at(tmp_path / "platform")
