"""Free loopback ports, remembered so that a restart finds the servers where they were.

Ports are drawn from below the ephemeral range (32768 on Linux, 49152 on macOS): otherwise an
outgoing connection could take the port of a server while that is being restarted.
"""

from __future__ import annotations

import json
import random
import socket
from pathlib import Path

from local.errors import StartError
from local.instance import write_json

GRPC_OFFSET = 10_000
"""SeaweedFS takes, besides each port, this much above it."""

_FIRST, _LAST = 20_000, 29_999
_LOOPBACK = "127.0.0.1"
_ATTEMPTS = 200


def is_free(port: int, kind: socket.SocketKind = socket.SOCK_STREAM) -> bool:
    """Whether `port` can be bound on loopback now (TCP, or UDP with `SOCK_DGRAM`)."""
    with socket.socket(socket.AF_INET, kind) as probe:
        if kind is socket.SOCK_STREAM:  # a closed connection in TIME_WAIT is no hindrance
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((_LOOPBACK, port))
        except OSError:
            return False
    return True


class PortBook:
    """The ports of one data directory, by name, kept in a JSON file."""

    def __init__(self, file: Path) -> None:
        self._file = file
        try:
            self._ports: dict[str, int] = json.loads(file.read_text())
        except (FileNotFoundError, ValueError):
            self._ports = {}

    def take(self, name: str, *, with_grpc: bool = False) -> int:
        """Take a free port for `name`: the one it had before, if that is free.

        With `with_grpc` the port `GRPC_OFFSET` above it is free as well.

        Raises StartError: no free port was found.
        """
        offsets = (0, GRPC_OFFSET) if with_grpc else (0,)
        remembered = self._ports.get(name)
        if remembered is not None and self._usable(remembered, offsets, name):
            return remembered
        shift = GRPC_OFFSET if with_grpc else 0
        for _ in range(_ATTEMPTS):
            port = random.randint(_FIRST - shift, _LAST - shift)  # noqa: S311 - no secret
            if self._usable(port, offsets, name):
                self._ports[name] = port
                write_json(self._file, self._ports)
                return port
        raise StartError(f"no free port between {_FIRST - shift} and {_LAST} on {_LOOPBACK}")

    def _usable(self, port: int, offsets: tuple[int, ...], name: str) -> bool:
        others = {taken for other, taken in self._ports.items() if other != name}
        others |= {taken + GRPC_OFFSET for taken in others}
        return all(port + shift not in others and is_free(port + shift) for shift in offsets)
