"""Free loopback ports, reserved while an instance runs and remembered for its restart.

Ports are drawn from below the ephemeral range (32768 on Linux, 49152 on macOS): otherwise an
outgoing connection could take the port of a server while that is being restarted.

A process binds a port seconds after it was drawn. Until it is released, or this process ends, a
socket of the other protocol holds the same number, so no other instance draws it.
"""

from __future__ import annotations

import json
import os
import random
import socket
from collections.abc import Collection
from pathlib import Path
from typing import Final

from local.errors import StartError
from local.instance import write_json

GRPC_OFFSET: Final = 10_000
"""SeaweedFS takes, besides each port, this much above it."""

_FIRST, _LAST = 20_000, 29_999
_LOOPBACK = "127.0.0.1"
_ATTEMPTS = 200
_OTHER: Final = {socket.SOCK_STREAM: socket.SOCK_DGRAM, socket.SOCK_DGRAM: socket.SOCK_STREAM}
_reserved: dict[int, int] = {}  # port -> file descriptor


def is_free(port: int, kind: socket.SocketKind = socket.SOCK_STREAM) -> bool:
    """Whether `port` can be bound on loopback now (TCP, or UDP with `SOCK_DGRAM`)."""
    with socket.socket(socket.AF_INET, kind) as probe:
        if kind is socket.SOCK_STREAM:  # allow connections in TIME_WAIT
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((_LOOPBACK, port))
        except OSError:
            return False
    return True


def free_port(
    kind: socket.SocketKind = socket.SOCK_STREAM,
    *,
    with_grpc: bool = False,
    excluded: Collection[int] = (),
) -> int:
    """Reserve and return a free port, with `with_grpc` also the port `GRPC_OFFSET` above it.

    It is none of `others`. Raises StartError: no free port was found.
    """
    shift = GRPC_OFFSET if with_grpc else 0
    for _ in range(_ATTEMPTS):
        port = random.randint(_FIRST - shift, _LAST - shift)  # noqa: S311 - no secret
        ports = {port, port + shift}
        if ports.isdisjoint(_reserved.keys() | set(excluded)) and _reserve(ports, kind):
            return port
    raise StartError(f"no free port between {_FIRST - shift} and {_LAST} on {_LOOPBACK}")


def _reserve(ports: set[int], kind: socket.SocketKind = socket.SOCK_STREAM) -> bool:
    """Reserve `ports` for sockets of `kind`: all of them, or none when one is in use."""
    held: dict[int, socket.socket] = {}
    try:
        for port in ports - _reserved.keys():
            held[port] = socket.socket(socket.AF_INET, _OTHER[kind])
            held[port].bind((_LOOPBACK, port))
        free = all(is_free(port, kind) for port in ports)
    except OSError:
        free = False
    if not free:
        for each in held.values():
            each.close()
        return False
    _reserved.update((port, each.detach()) for port, each in held.items())
    return True


class PortBook:
    """The ports of one data directory, by name, kept in a JSON file."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._chosen: frozenset[int] = frozenset()
        self._reserved_names: set[str] = set()
        try:
            self._ports: dict[str, int] = json.loads(file.read_text())
        except (FileNotFoundError, ValueError):
            self._ports = {}

    def leave_out(self, *ports: int) -> None:
        """Exclude these ports: the user chose them for a server not started yet."""
        self._chosen |= set(ports)

    def take(self, name: str, *, with_grpc: bool = False) -> int:
        """Take a free port for `name`: the one it had before, if that is free.

        With `with_grpc` the port `GRPC_OFFSET` above it is taken as well. A name keeps its port
        until `release`.

        Raises StartError: no free port was found.
        """
        port = self._ports.get(name)
        ports = set() if port is None else {port, port + (GRPC_OFFSET if with_grpc else 0)}
        if port is None or not (name in self._reserved_names or self._is_usable(ports)):
            port = free_port(with_grpc=with_grpc, excluded=self._chosen)
            self._ports[name] = port
            write_json(self._file, self._ports)
        self._reserved_names.add(name)
        return port

    def _is_usable(self, ports: set[int]) -> bool:
        return ports.isdisjoint(self._chosen) and _reserve(ports)

    def release(self) -> None:
        """End the reservations of all names that were taken."""
        for port in (self._ports[name] for name in self._reserved_names):
            for each in {port, port + GRPC_OFFSET} & _reserved.keys():
                os.close(_reserved.pop(each))
        self._reserved_names.clear()
