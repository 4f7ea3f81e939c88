"""CPU rates of single-threaded work without I/O."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

_REPEATS = 7


def rate(work: Callable[[], object], units: int) -> float:
    """Return units a second of CPU, the median of several runs after one that is not counted.

    What else the machine does does not show in it.
    """
    work()
    seconds = []
    for _ in range(_REPEATS):
        started = time.process_time()
        work()
        seconds.append(time.process_time() - started)
    return units / statistics.median(seconds)
