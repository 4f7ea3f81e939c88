"""The UDP socket: bound, with the largest allowed receive buffer, counting drops."""

from __future__ import annotations

import logging
import socket
import struct
from typing import Final

log = logging.getLogger(__name__)

TARGET_BUFFER_BYTES: Final = 32 * 1024 * 1024

# Linux; the socket module does not name them.
_SO_RCVBUFFORCE: Final = 33  # past net.core.rmem_max, with CAP_NET_ADMIN
_SO_MEMINFO: Final = 55
_MEMINFO: Final = struct.Struct("9I")
_DROPS: Final = 8


def bind(host: str, port: int) -> socket.socket:
    """Return a non-blocking socket, of IPv4 where the name has both kinds; `::` takes both.

    An empty host is every address of IPv4. Raises OSError when the address cannot be bound.
    """
    try:
        candidates = socket.getaddrinfo(host or "0.0.0.0", port, type=socket.SOCK_DGRAM)
    except UnicodeError as error:
        raise OSError(f"{host!r} is not a host name: {error}") from error
    candidates.sort(key=lambda each: each[0] != socket.AF_INET)
    family, kind, protocol, _name, address = candidates[0]
    sock = socket.socket(family, kind, protocol)
    try:
        sock.setblocking(False)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, host != "::")
        if hasattr(socket, "SO_REUSEPORT"):
            # Several listeners share the port: the kernel distributes senders among them.
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        _grow_buffer(sock)
        sock.bind(address)
    except OSError:
        sock.close()
        raise
    return sock


def _grow_buffer(sock: socket.socket) -> None:
    for option in (_SO_RCVBUFFORCE, socket.SO_RCVBUF):
        try:
            sock.setsockopt(socket.SOL_SOCKET, option, TARGET_BUFFER_BYTES)
        except OSError:
            continue
        if sock.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) >= TARGET_BUFFER_BYTES:
            return
    log.warning(
        "the receive buffer is %d bytes, %d wanted: bursts may be dropped by the kernel;"
        " raise it with: sysctl -w net.core.rmem_max=%d",
        sock.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF),
        TARGET_BUFFER_BYTES,
        TARGET_BUFFER_BYTES,
    )


class KernelDrops:
    """Counts datagrams that the kernel dropped because the buffer was full."""

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self._seen = self._total()

    def new(self) -> int:
        """Return the drops since the last call; 0 if the kernel does not report them."""
        total = self._total()
        if total is None or self._seen is None:
            return 0
        # The kernel's counter has 32 bits and wraps.
        dropped = (total - self._seen) % (1 << 32)
        self._seen = total
        return dropped

    def _total(self) -> int | None:
        try:
            values = self._socket.getsockopt(socket.SOL_SOCKET, _SO_MEMINFO, _MEMINFO.size)
            return int(_MEMINFO.unpack(values)[_DROPS])
        except (OSError, struct.error):
            return None
