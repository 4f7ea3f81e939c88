from __future__ import annotations

from pathlib import Path

import boto3
import httpx
import psutil
import pytest

from local.servers.s3 import BUCKETS, S3
from local.servers.seaweedfs import seaweedfs
from local.servers.server import LOOPBACK, Place
from tests.local.servers.running import Running


def test_objects_survive_a_kill(place: Place, tmp_path: Path) -> None:
    """A stored object is there after kill -9 and the restart; the buckets are made by the start."""
    with Running(seaweedfs(place), tmp_path) as server:
        client = boto3.client(
            "s3",
            endpoint_url=server.variables["S3_ENDPOINT_URL"],
            aws_access_key_id=server.variables["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=server.variables["AWS_SECRET_ACCESS_KEY"],
            region_name="us-east-1",
        )
        client.put_object(Bucket="ticks", Key="a/b", Body=b"one")
        server.kill_and_await_return()
        assert {each["Name"] for each in client.list_buckets()["Buckets"]} == set(BUCKETS)
        assert client.get_object(Bucket="ticks", Key="a/b")["Body"].read() == b"one"
        client.close()


def test_it_serves_loopback_and_key_holders_only(place: Place, tmp_path: Path) -> None:
    """A wrong key is refused, every port is on loopback, and no socket is left after the stop."""
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
