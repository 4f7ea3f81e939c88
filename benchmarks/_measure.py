"""Measures that several benchmarks take: rates, times, percentiles, memory, and waiting."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import psutil

T = TypeVar("T")

_REPEATS = 7


def number(name: str, default: int) -> int:
    """Return the number that the environment gives a name, or the default."""
    return int(os.environ.get(name, default))


def listed(name: str, default: str) -> list[str]:
    """Return the words, separated by commas, that the environment gives a name."""
    return os.environ.get(name, default).split(",")


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


def timed(work: Callable[[], object]) -> float:
    """Return how long the work takes, in seconds."""
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


def times_ms(
    work: Callable[[], T], repeats: int, before: Callable[[], object] = lambda: None
) -> tuple[list[float], T]:
    """Return how long each run takes without what comes before it, and the last one's result."""
    taken = []
    for _ in range(repeats):
        before()
        begin = time.perf_counter()
        result = work()
        taken.append((time.perf_counter() - begin) * 1e3)
    return taken, result


def p50_p99(values: Sequence[float] | np.ndarray[Any, Any]) -> tuple[float, float]:
    """Return the median and the 99th percentile; of nothing they are not numbers."""
    p50, p99 = np.percentile(values, (50, 99)) if len(values) else (np.nan, np.nan)
    return float(p50), float(p99)


def wait(condition: Callable[[], bool], begun: float = 0.0, patience_s: float = 180.0) -> float:
    """Return how many seconds after `begun` the condition holds. Raises SystemExit."""
    until = time.perf_counter() + patience_s
    while not condition():
        if time.perf_counter() > until:
            raise SystemExit(f"not so after {patience_s:.0f} s")
        time.sleep(0.1)
    return time.perf_counter() - begun


def cpu_s(process: psutil.Process) -> float:
    """Return the CPU seconds so far of a process and its children, which a server has."""
    seconds = float(sum(process.cpu_times()[:4]))  # its own, and of children that ended
    for child in process.children():
        with suppress(psutil.NoSuchProcess):
            seconds += cpu_s(child)
    return seconds


def peak_mib(pid: int | str = "self") -> float:
    """Return the most memory that a process has had, since its start or `reset_peak`."""
    status = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in status if line.startswith("VmHWM")) / 1024


def reset_peak(pid: int) -> None:
    """Let the kernel note the most memory of a process from now on (proc(5), clear_refs)."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")
