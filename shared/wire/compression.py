"""zstd for event bodies, with bounded decompression."""

from __future__ import annotations

import threading
from typing import Final

import zstandard

from shared.errors import PermanentError

MAX_UNPACKED_BYTES: Final = 16 * 1024 * 1024
"""Bridges fill a batch with at most 4 MiB, and no other event is larger."""

_local = threading.local()


FAST: Final = 1
"""For raw text: as small as level 3 (13 bytes a tick) in little more than half the time."""
SMALL: Final = 3
"""For columns: a tenth smaller than level 1, and each byte goes to every trigger."""


def compress(body: bytes, level: int = SMALL) -> bytes:
    """Compress at one of the levels above."""
    compressors: dict[int, zstandard.ZstdCompressor] = vars(_local).setdefault("compressors", {})
    if level not in compressors:
        compressors[level] = zstandard.ZstdCompressor(level=level)
    packed: bytes = compressors[level].compress(body)
    return packed


def unpacked_bytes(body: bytes) -> int:
    """Return the size of a body once decompressed; -1 if it does not state one."""
    try:
        return zstandard.frame_content_size(body)
    except zstandard.ZstdError:
        return -1


def decompress(body: bytes) -> bytes:
    """Decompress a body. Raises PermanentError `bad_compression` if invalid or too large."""
    try:
        if not 0 <= zstandard.frame_content_size(body) <= MAX_UNPACKED_BYTES:
            raise PermanentError(
                "bad_compression",
                f"zstd body must state its size, at most {MAX_UNPACKED_BYTES} bytes",
            )
        if not hasattr(_local, "decompressor"):
            _local.decompressor = zstandard.ZstdDecompressor()
        unpacked: bytes = _local.decompressor.decompress(body, max_output_size=MAX_UNPACKED_BYTES)
    except zstandard.ZstdError as error:
        raise PermanentError("bad_compression", f"body is not zstd: {error}") from error
    return unpacked
