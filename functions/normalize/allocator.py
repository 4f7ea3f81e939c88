"""Keeps freed memory in the process: one event's arrays are as large as those of the next.

glibc hands memory back to the system as soon as enough of it is free, and the system must clear
each page anew for the next event; that took a third of the time of parsing.
"""

from __future__ import annotations

import ctypes
import sys
from typing import Final

_M_TRIM_THRESHOLD: Final = -1
_M_MMAP_THRESHOLD: Final = -3
_KEPT_BYTES: Final = 64 * 1024 * 1024
_LARGEST_BYTES: Final = 16 * 1024 * 1024


def keep_freed_memory() -> bool:
    """Ask malloc to keep up to 64 MiB; return whether it will (musl does not)."""
    if not sys.platform.startswith("linux"):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except AttributeError:
        return False
    wanted = ((_M_MMAP_THRESHOLD, _LARGEST_BYTES), (_M_TRIM_THRESHOLD, _KEPT_BYTES))
    return all(mallopt(option, value) for option, value in wanted)
