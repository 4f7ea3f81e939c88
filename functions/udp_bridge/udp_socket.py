"""The UDP socket: bound, with the largest receive buffer the system allows."""

from __future__ import annotations

import logging
import socket
from typing import Final

log = logging.getLogger(__name__)

WANTED_BUFFER_BYTES: Final = 32 * 1024 * 1024
MAX_DATAGRAM_BYTES: Final = 65_535

_SO_RCVBUFFORCE: Final = 33  # Linux: past net.core.rmem_max, with CAP_NET_ADMIN


def bind(host: str, port: int) -> socket.socket:
    """Return a non-blocking socket. Raises OSError when the address cannot be bound."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.setblocking(False)
    if hasattr(socket, "SO_REUSEPORT"):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    _grow_buffer(sock)
    sock.bind((host, port))
    return sock


def _grow_buffer(sock: socket.socket) -> None:
    for option in (_SO_RCVBUFFORCE, socket.SO_RCVBUF):
        try:
            sock.setsockopt(socket.SOL_SOCKET, option, WANTED_BUFFER_BYTES)
        except OSError:
            continue
        if sock.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) >= WANTED_BUFFER_BYTES:
            return
    log.warning(
        "the receive buffer is %d bytes, %d wanted: bursts may be dropped by the kernel;"
        " raise it with: sysctl -w net.core.rmem_max=%d",
        sock.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF),
        WANTED_BUFFER_BYTES,
        WANTED_BUFFER_BYTES,
    )
