"""Fixtures of the tests of manifests."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator

import pytest


@pytest.fixture
def deploy_alone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """No test of another worker runs `make deploy`, which writes to dist/deploy."""
    with (tmp_path_factory.getbasetemp().parent / "deploy.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
