"""Check of user-chosen ports: refuse to start on one that is in use."""

from __future__ import annotations

import socket

import psutil

from local.errors import InUseError
from local.servers.ports import is_free


def require_free(port: int, flag: str, kind: socket.SocketKind = socket.SOCK_STREAM) -> None:
    """Check a port given by `flag`. Raises InUseError that names it and, if known, its holder."""
    if is_free(port, kind):
        return
    protocol = "UDP" if kind is socket.SOCK_DGRAM else "TCP"
    raise InUseError(
        f"{protocol} port {port} is in use{_holder(port, kind)}: "
        f"stop that, or choose another port with {flag}"
    )


def _holder(port: int, kind: socket.SocketKind) -> str:
    try:
        for each in psutil.net_connections("udp4" if kind is socket.SOCK_DGRAM else "tcp4"):
            listens = kind is socket.SOCK_DGRAM or each.status == psutil.CONN_LISTEN
            if each.laddr and each.laddr.port == port and listens and each.pid:
                return f" by process {each.pid} ({psutil.Process(each.pid).name()})"
    except psutil.Error:  # no permission to inspect other users' processes
        pass
    return ""
