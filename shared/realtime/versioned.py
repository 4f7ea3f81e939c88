"""Redis values with an 8-byte version prefix, for compare-and-set."""

from __future__ import annotations

import struct

MISSING = b""
"""Version of a missing value."""


def pack(version: int, value: bytes) -> bytes:
    """Prefix the value with its version."""
    return version_of(version) + value


def version_of(number: int) -> bytes:
    """Encode a version."""
    return struct.pack(">Q", number)


def unpack(blob: bytes) -> tuple[int, bytes]:
    """Split version and value."""
    return int.from_bytes(blob[:8], "big"), blob[8:]
