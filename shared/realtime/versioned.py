"""Values in Redis that begin with 8 bytes of version, compared before they are replaced."""

from __future__ import annotations

import struct

MISSING = b""
"""Version of a value that is not there."""


def pack(version: int, value: bytes) -> bytes:
    """Put the version before the value."""
    return version_of(version) + value


def version_of(number: int) -> bytes:
    """Return a version as it stands before a value."""
    return struct.pack(">Q", number)


def unpack(blob: bytes) -> tuple[int, bytes]:
    """Take version and value apart."""
    return int.from_bytes(blob[:8], "big"), blob[8:]
