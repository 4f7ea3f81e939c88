"""Received payloads, many at a time."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Payloads:
    """Payloads in order of receipt.

    `payloads`: all of them, joined; `lengths`: bytes of each; `receive_time_us`: receive times.
    """

    payloads: bytes
    lengths: list[int]
    receive_time_us: list[int]

    def __len__(self) -> int:
        return len(self.lengths)
