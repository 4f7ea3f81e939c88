"""Interface of server modules: their component, and their directory."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from local.servers.credentials import Credentials
from local.servers.ports import PortBook
from local.supervisor.component import Component
from local.supervisor.probe import close

LOOPBACK = "127.0.0.1"


@dataclass(frozen=True)
class Workspace:
    """A data directory with its ports and credentials."""

    data_dir: Path
    ports: PortBook
    credentials: Credentials

    @classmethod
    def at(cls, data_dir: Path) -> Workspace:
        """Open `data_dir`, created if missing; the path is made absolute."""
        data_dir = data_dir.absolute()
        data_dir.mkdir(parents=True, exist_ok=True)
        return cls(
            data_dir,
            PortBook(data_dir / "ports.json"),
            Credentials.keep(data_dir / "credentials.json"),
        )

    def directory(self, name: str) -> Path:
        """Return the directory of the server `name`, created if missing."""
        directory = self.data_dir / name
        directory.mkdir(exist_ok=True)
        return directory

    def log(self, name: str) -> Path:
        """Return the log file of the process `name`."""
        logs = self.data_dir / "logs"
        logs.mkdir(exist_ok=True)
        return logs / f"{name}.log"


@dataclass(frozen=True)
class Server:
    """A server to run: its process, and the variables by which others reach it."""

    component: Component
    variables: Mapping[str, str] = field(repr=False)


async def accepts(port: int) -> bool:
    """Whether something accepts TCP connections on the loopback port."""
    try:
        _, writer = await asyncio.open_connection(LOOPBACK, port)
    except OSError:
        return False
    await close(writer)
    return True


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner can read, from creation on."""
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
