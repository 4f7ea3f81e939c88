"""Datagram readers: the interface and the portable implementation.

`recvmmsg.py` has the fast one for Linux.
"""

from __future__ import annotations

import socket
import time
from dataclasses import dataclass
from typing import Final, Protocol

from shared.sources.batcher import Payloads

MAX_DATAGRAM_BYTES: Final = 65_536
"""The largest payload of UDP over IPv4 is 65,507 bytes."""

DATAGRAMS_A_READ: Final = 256


@dataclass(frozen=True, slots=True)
class Datagrams(Payloads):
    """Datagrams in order of receipt.

    `truncated`: number of datagrams larger than the buffer; they are dropped, since half a line may
    be a different line.
    """

    truncated: int = 0


class Reader(Protocol):
    """Reads what a non-blocking socket holds."""

    def read(self) -> Datagrams | None:
        """Return up to DATAGRAMS_A_READ datagrams, or None when there is none."""


class PlainReader:
    """One system call and one clock reading a datagram: works everywhere."""

    def __init__(self, sock: socket.socket, max_bytes: int = MAX_DATAGRAM_BYTES) -> None:
        self._socket = sock
        self._max_bytes = max_bytes

    def read(self) -> Datagrams | None:
        """Return up to DATAGRAMS_A_READ datagrams, or None when there is none."""
        receive, clock = self._socket.recv, time.time_ns
        payloads: list[bytes] = []
        times_us: list[int] = []
        truncated = 0
        try:
            for _ in range(DATAGRAMS_A_READ):
                # One byte more than allowed, to detect truncation.
                payload = receive(self._max_bytes + 1)
                if len(payload) > self._max_bytes:
                    truncated += 1
                    continue
                payloads.append(payload)
                times_us.append(clock() // 1000)
        except BlockingIOError:
            if not payloads and not truncated:
                return None
        return Datagrams(b"".join(payloads), list(map(len, payloads)), times_us, truncated)
