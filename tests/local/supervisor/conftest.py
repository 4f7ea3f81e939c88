from __future__ import annotations

from pathlib import Path

import pytest

from tests.local.supervisor.up_process import tiny_topology


@pytest.fixture
def only_a_broker(tmp_path: Path) -> tuple[str, ...]:
    """Arguments of `kandle up` for the smallest platform: four servers and a broker."""
    return ("--functions", "none", "--eventing", str(tiny_topology(tmp_path / "eventing")))
