"""Many datagrams per system call, with kernel receive times: `recvmmsg(2)` by ctypes.

For 64-bit Linux. The structures follow <sys/socket.h>, laid out as NumPy records, so that reading
256 datagrams costs one call and a few array operations.
"""

from __future__ import annotations

import ctypes
import errno
import functools
import os
import socket
import sys
import time
from typing import Final

import numpy as np

from functions.udp_bridge.datagrams import (
    DATAGRAMS_A_READ,
    MAX_DATAGRAM_BYTES,
    Datagrams,
    PlainReader,
    Reader,
)

_SO_TIMESTAMPNS: Final = 35

IOVEC: Final = np.dtype([("base", np.uint64), ("length", np.uint64)])
MMSGHDR: Final = np.dtype(
    {
        "names": ["iov", "iov_count", "control", "control_length", "flags", "length"],
        "formats": [np.uint64, np.uint64, np.uint64, np.uint64, np.int32, np.uint32],
        "offsets": [16, 24, 32, 40, 48, 56],
        "itemsize": 64,
    }
)
# A control message with the kernel's receive time of the datagram.
_CONTROL: Final = np.dtype(
    [
        ("size", np.uint64),
        ("level", np.int32),
        ("type", np.int32),
        ("seconds", np.int64),
        ("nanoseconds", np.int64),
    ]
)


@functools.cache
def supported() -> bool:
    """Return whether this system has the structures above."""
    return (
        sys.platform.startswith("linux")
        and sys.byteorder == "little"
        and ctypes.sizeof(ctypes.c_void_p) == 8
        and hasattr(ctypes.CDLL(None), "recvmmsg")
    )


def reader(sock: socket.socket) -> Reader:
    """Return the fastest available reader for a non-blocking socket."""
    return ManyReader(sock) if supported() else PlainReader(sock)


class ManyReader:
    """Reads into buffers allocated once; untouched ones use no memory.

    Receive times come from the kernel, so they do not depend on when the process reads; without
    them it is the time of the call.
    """

    def __init__(
        self,
        sock: socket.socket,
        max_bytes: int = MAX_DATAGRAM_BYTES,
        count: int = DATAGRAMS_A_READ,
    ) -> None:
        self._socket = sock  # keeps the descriptor alive
        sock.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
        libc = ctypes.CDLL(None, use_errno=True)
        self._recvmmsg = libc.recvmmsg
        # A cache line more than the largest datagram: starts at a power-of-two stride would
        # all map to the same few cache lines.
        self._stride = max_bytes + 64
        self._buffer = np.empty(count * self._stride, dtype=np.uint8)
        self._bytes = memoryview(self._buffer.data)
        self._controls = np.zeros(count, dtype=_CONTROL)
        vectors = np.zeros(count, dtype=IOVEC)
        vectors["base"] = self._buffer.ctypes.data + np.arange(count) * self._stride
        vectors["length"] = max_bytes
        self._vectors = vectors
        self._headers = np.zeros(count, dtype=MMSGHDR)
        self._headers["iov"] = vectors.ctypes.data + np.arange(count) * IOVEC.itemsize
        self._headers["iov_count"] = 1
        self._headers["control"] = self._controls.ctypes.data + np.arange(count) * _CONTROL.itemsize
        self._arguments = (
            ctypes.c_int(sock.fileno()),
            ctypes.c_void_p(self._headers.ctypes.data),
            ctypes.c_uint(count),
            ctypes.c_int(socket.MSG_DONTWAIT),
            ctypes.c_void_p(None),
        )

    def read(self) -> Datagrams | None:
        """Return the datagrams of one call, or None when there is none. Raises OSError."""
        self._headers["control_length"] = _CONTROL.itemsize
        count = self._recvmmsg(*self._arguments)
        if count < 0:
            number = ctypes.get_errno()
            if number in (errno.EAGAIN, errno.EINTR):
                return None
            raise OSError(number, os.strerror(number))
        if count == 0:
            return None
        headers = self._headers[:count]
        lengths = headers["length"].tolist()
        stride, view = self._stride, self._bytes
        whole = (headers["flags"] & socket.MSG_TRUNC) == 0
        if not whole.all():
            complete = np.flatnonzero(whole).tolist()
            return Datagrams(
                b"".join([view[i * stride : i * stride + lengths[i]] for i in complete]),
                [lengths[i] for i in complete],
                self._times_us(count)[whole].tolist(),
                count - len(complete),
            )
        payloads = [
            view[start : start + length]
            for start, length in zip(range(0, count * stride, stride), lengths, strict=True)
        ]
        return Datagrams(b"".join(payloads), lengths, self._times_us(count).tolist())

    def _times_us(self, count: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
        controls = self._controls[:count]
        stamped = (self._headers["control_length"][:count] >= _CONTROL.itemsize) & (
            controls["type"] == _SO_TIMESTAMPNS
        )
        times: np.ndarray[tuple[int], np.dtype[np.int64]]
        times = controls["seconds"] * 1_000_000 + controls["nanoseconds"] // 1000
        times[~stamped] = time.time_ns() // 1000
        return times
