"""The memory of a process that does the same again and again: kept, and not searched for garbage.

One event's arrays are as large as those of the next. glibc hands freed memory back to the system as
soon as enough of it is free, and the system must clear each page anew for the next event; that took
a third of the time of parsing. Python looks through all objects for cycles time and again, though
modules and classes stay as long as the process.
"""

from __future__ import annotations

import ctypes
import gc
import os
import sys
from typing import Final

_M_TRIM_THRESHOLD: Final = -1
_M_MMAP_THRESHOLD: Final = -3
_M_ARENA_MAX: Final = -8
_MALLOPT: Final = (
    (_M_ARENA_MAX, 1),  # else every thread keeps memory of its own
    (_M_MMAP_THRESHOLD, 16 * 1024 * 1024),
    (_M_TRIM_THRESHOLD, 64 * 1024 * 1024),
)
_MALLOPT_LITTLE: Final = (
    (_M_ARENA_MAX, 1),
    (_M_MMAP_THRESHOLD, 256 * 1024),  # what is larger goes back as soon as it is freed
    (_M_TRIM_THRESHOLD, 4 * 1024 * 1024),
)
_FRAMES: Final = ("pandas", "polars")
_COLLECT_AFTER: Final = 20_000
"""Objects more than before: messages are many objects, and seldom in cycles."""


def settle() -> None:
    """Call once all is loaded: leave that out of the search for garbage, and keep freed memory.

    The last search, at the end of the process, is then short too: 0.02 s of CPU in place of 0.2.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_COLLECT_AFTER, 20, 20)
    keep_freed_memory()


def keep_freed_memory() -> bool:
    """Ask malloc to keep up to 64 MiB; return whether it will (musl does not)."""
    return _ask_malloc(_MALLOPT)


def hand_freed_memory_back() -> bool:
    """Ask malloc to keep little, in a process that needs much now and then; return if it will."""
    return _ask_malloc(_MALLOPT_LITTLE)


def let_arrow_use_malloc() -> None:
    """Let Arrow, which is not loaded yet, have no allocator that keeps what is freed."""
    os.environ["ARROW_DEFAULT_MEMORY_POOL"] = "system"


class _LeftOut:
    """Finds no dataframe package, but for exchange_calendars, which is made of one."""

    def find_spec(self, name: str, *_: object) -> None:
        """Raise ModuleNotFoundError where it is one of them."""
        if name in _FRAMES and "exchange_calendars" not in sys.modules:
            raise ModuleNotFoundError(f"{name} is left out", name=name)


def leave_dataframes_out() -> None:
    """Let TA-Lib and Arrow load neither pandas nor Polars: they would for such arguments, 54 MiB.

    exchange_calendars still loads pandas.
    """
    sys.meta_path.insert(0, _LeftOut())


def _ask_malloc(options: tuple[tuple[int, int], ...]) -> bool:
    if not sys.platform.startswith("linux"):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except AttributeError:
        return False
    return all(mallopt(option, value) for option, value in options)
