"""zstd for event bodies, with a bound on what a body may unpack to."""

from __future__ import annotations

import threading
from typing import Final

import zstandard

from shared.errors import PermanentError

MAX_UNPACKED_BYTES: Final = 64 * 1024 * 1024

_local = threading.local()


def compress(body: bytes) -> bytes:
    """Compress at the level where time and size balance for columns (3)."""
    if not hasattr(_local, "compressor"):
        _local.compressor = zstandard.ZstdCompressor(level=3)
    packed: bytes = _local.compressor.compress(body)
    return packed


def decompress(body: bytes) -> bytes:
    """Unpack a body. Raises PermanentError `bad_compression` when it is no zstd or too large."""
    try:
        size = zstandard.frame_content_size(body)
        if not 0 <= size <= MAX_UNPACKED_BYTES:
            raise PermanentError(
                "bad_compression",
                f"zstd body must state its size, at most {MAX_UNPACKED_BYTES} bytes",
            )
        if not hasattr(_local, "decompressor"):
            _local.decompressor = zstandard.ZstdDecompressor()
        unpacked: bytes = _local.decompressor.decompress(body, max_output_size=MAX_UNPACKED_BYTES)
    except zstandard.ZstdError as error:
        raise PermanentError("bad_compression", f"body is no zstd: {error}") from error
    return unpacked
