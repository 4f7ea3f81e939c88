from __future__ import annotations

from pathlib import Path

import httpx
import psutil
import pytest

from local.servers.s3 import BUCKETS, S3
from local.servers.seaweedfs import seaweedfs
from local.servers.server import LOOPBACK, Workspace
from shared.stores.s3 import ObjectStore, S3Access
from tests.local.servers.running import Running

pytestmark = pytest.mark.processes


def test_objects_survive_a_kill(place: Workspace, tmp_path: Path) -> None:
    """A stored object is there after kill -9 and the restart, and the start creates buckets."""
    with Running(seaweedfs(place), tmp_path) as server:
        access = S3Access.from_env(server.variables)
        store = ObjectStore(access)
        store.create("ticks", "a/b", b"one")
        server.kill_and_await_return()
        s3 = S3(access.endpoint, access.access_key, access.secret_key)
        assert server.ask(s3.buckets()) == set(BUCKETS)
        assert store.read("ticks", "a/b") == b"one"


def test_only_loopback_and_valid_keys_are_served(place: Workspace, tmp_path: Path) -> None:
    """A wrong key is refused, ports are on loopback, and no socket is left after the stop."""
    with Running(seaweedfs(place), tmp_path) as server:
        with pytest.raises(httpx.HTTPStatusError, match="403"):
            server.ask(
                S3(
                    server.variables["S3_ENDPOINT_URL"],
                    server.variables["AWS_ACCESS_KEY_ID"],
                    "wrong",
                ).buckets()
            )
        process = psutil.Process(server.keeper.pid)
        listening = [
            each for each in process.net_connections() if each.status == psutil.CONN_LISTEN
        ]
        assert {each.laddr.ip for each in listening} == {LOOPBACK}
        ports = {each.laddr.port for each in listening}
    left = {path.stem.rpartition("-")[2] for path in Path("/tmp").glob("seaweedfs-*.sock")}
    assert not left & {str(port) for port in ports}
