"""Shards: partition of instruments by a stable hash of their names."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

DEFAULT_SHARDS: Final = 16
MAX_SHARDS: Final = 1024


def shard_of(instrument: str, shards: int) -> int:
    """Return the shard of an instrument. Stable: change `shards` only when nothing is in flight."""
    return zlib.crc32(instrument.encode()) % shards


def shards_of(instruments: Sequence[str], shards: int) -> NDArray[np.int64]:
    """Return the shard of each instrument, int64[n]."""
    hashes = [zlib.crc32(name.encode()) for name in instruments]
    return np.array(hashes, dtype=np.int64) % shards
