"""Datagrams sent cheaply, so that the sender takes little of the machine it shares with the chain.

Many go in a system call (`sendmmsg(2)` of Linux, by ctypes), from buffers that are laid out before
the time is taken.
"""

from __future__ import annotations

import ctypes
import os
import socket
import time
from collections.abc import Sequence

import numpy as np

from functions.udp_bridge.recvmmsg import IOVEC, MMSGHDR

_AT_ONCE = 64


class Sender:
    """Sends the same datagrams to one address. `lines_a_datagram` counts what the rate is of."""

    def __init__(
        self, address: tuple[str, int], datagrams: Sequence[bytes], lines_a_datagram: int
    ) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.connect(address)
        self._lines = lines_a_datagram
        lengths = np.array([len(datagram) for datagram in datagrams], dtype=np.uint64)
        self._bytes = np.frombuffer(b"".join(datagrams), dtype=np.uint8)
        self._vectors = np.zeros(len(datagrams), dtype=IOVEC)
        self._vectors["base"] = self._bytes.ctypes.data + np.cumsum(lengths) - lengths
        self._vectors["length"] = lengths
        self._headers = np.zeros(len(datagrams), dtype=MMSGHDR)
        places = np.arange(len(datagrams), dtype=np.uint64) * IOVEC.itemsize
        self._headers["iov"] = self._vectors.ctypes.data + places
        self._headers["iov_count"] = 1
        self._sendmmsg = ctypes.CDLL(None, use_errno=True).sendmmsg

    def send(self, rate: float) -> float:
        """Send all at so many lines a second; return the seconds it took."""
        started = time.perf_counter()
        for first in range(0, len(self._headers), _AT_ONCE):
            end = min(first + _AT_ONCE, len(self._headers))
            self._some(first, end)
            ahead = end * self._lines / rate - (time.perf_counter() - started)
            if ahead > 0.001:
                time.sleep(ahead)
        self._socket.close()
        return time.perf_counter() - started

    def _some(self, first: int, end: int) -> None:
        while first < end:
            place = self._headers.ctypes.data + first * MMSGHDR.itemsize
            sent = self._sendmmsg(
                ctypes.c_int(self._socket.fileno()),
                ctypes.c_void_p(place),
                ctypes.c_uint(end - first),
                ctypes.c_int(0),
            )
            if sent < 0:
                raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
            first += sent
