"""Memory settings of a steady-state process: keep freed memory, and freeze loaded objects.

One event's arrays are as large as the next one's. glibc returns freed memory to the system, which
must clear each page again for the next event; that took a third of the time of parsing. Python's
garbage collector keeps scanning modules and classes, which live as long as the process.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import os
import sys
from collections.abc import Collection, Iterator
from typing import Final

_M_TRIM_THRESHOLD: Final = -1
_M_MMAP_THRESHOLD: Final = -3
_M_ARENA_MAX: Final = -8
_MALLOPT: Final = (
    (_M_ARENA_MAX, 1),  # otherwise every thread keeps its own memory
    (_M_MMAP_THRESHOLD, 16 * 1024 * 1024),
    (_M_TRIM_THRESHOLD, 64 * 1024 * 1024),
)
_MALLOPT_LITTLE: Final = (
    (_M_ARENA_MAX, 1),
    (_M_MMAP_THRESHOLD, 64 * 1024),  # larger blocks are returned when freed
    (_M_TRIM_THRESHOLD, 4 * 1024 * 1024),
)
FRAMES: Final = ("pandas", "polars")
_COLLECT_AFTER: Final = 20_000
"""Higher threshold: messages are many objects, rarely in cycles."""


def settle() -> None:
    """Freeze loaded objects and keep freed memory; call once everything is loaded.

    The final collection at exit is then short too: 0.02 s of CPU instead of 0.2.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_COLLECT_AFTER, 20, 20)
    keep_freed_memory()


def keep_freed_memory() -> bool:
    """Make malloc keep up to 64 MiB; return whether it supports that (musl does not)."""
    return _ask_malloc(_MALLOPT)


def hand_freed_memory_back() -> bool:
    """Make malloc keep little, for a process with rare peaks; return whether it supports that."""
    return _ask_malloc(_MALLOPT_LITTLE)


def return_freed_memory() -> None:
    """Return what malloc holds unused between blocks in use; where it can (glibc)."""
    if sys.platform.startswith("linux"):
        with contextlib.suppress(AttributeError):
            ctypes.CDLL(None).malloc_trim(0)


def let_arrow_use_malloc() -> None:
    """Select Arrow's system allocator, before it is loaded: others keep freed memory."""
    os.environ["ARROW_DEFAULT_MEMORY_POOL"] = "system"


class _LeftOut:
    """Import finder that blocks packages."""

    def __init__(self, names: Collection[str]) -> None:
        self._names = names

    def find_spec(self, name: str, *_: object) -> None:
        """Raise ModuleNotFoundError if it is one of them."""
        if name in self._names:
            raise ModuleNotFoundError(f"{name} is left out", name=name)


def leave_dataframes_out() -> None:
    """Keep TA-Lib and Arrow from importing pandas and Polars, which cost 54 MiB."""
    sys.meta_path.insert(0, _LeftOut(FRAMES))


@contextlib.contextmanager
def without(names: Collection[str]) -> Iterator[None]:
    """Leave packages out of what is loaded within, in a process that may use them."""
    left_out = _LeftOut(names)
    sys.meta_path.insert(0, left_out)
    try:
        yield
    finally:
        sys.meta_path.remove(left_out)


def _ask_malloc(options: tuple[tuple[int, int], ...]) -> bool:
    if not sys.platform.startswith("linux"):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except AttributeError:
        return False
    return all(mallopt(option, value) for option, value in options)
