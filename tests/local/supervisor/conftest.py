from __future__ import annotations

from collections.abc import Iterator, Mapping

import pytest

from local.servers.postgres import postgres
from local.servers.seaweedfs import seaweedfs
from local.servers.server import Workspace
from tests.local.servers.running import Running
from tests.local.supervisor.up_process import tiny_topology


@pytest.fixture(scope="session")
def only_a_broker(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, ...]:
    """Arguments of the smallest `kandle up`: the servers and a broker."""
    directory = tmp_path_factory.mktemp("eventing")
    return ("--functions", "none", "--eventing", str(tiny_topology(directory)))


@pytest.fixture(scope="session")
def given_s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mapping[str, str]]:
    """The environment with one shared S3 server, the slowest to start and stop."""
    directory = tmp_path_factory.mktemp("s3")
    with Running(seaweedfs(Workspace.at(directory / "platform")), directory) as server:
        yield server.variables


@pytest.fixture(scope="session")
def given_stores(
    tmp_path_factory: pytest.TempPathFactory, given_s3: Mapping[str, str]
) -> Iterator[Mapping[str, str]]:
    """The same environment with a Postgres, for tests of other components."""
    directory = tmp_path_factory.mktemp("postgres")
    with Running(postgres(Workspace.at(directory / "platform")), directory) as server:
        yield {**given_s3, **server.variables}
