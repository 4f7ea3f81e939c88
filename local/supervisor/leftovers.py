"""Record of started processes, so that the next start can end those left by a crash.

On Linux children die with the supervisor; this is for other systems, and for any that survive.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
from pathlib import Path

import psutil

from local.instance import write_json

_SAME_START_S = 2.0  # the start of a process, as the system computes it, moves with its clock
_PATIENCE_S = 3.0


class ProcessRecord:
    """The living processes of one data directory, in a file.

    A full disk does not prevent starts and stops: the file is then out of date, and processes are
    identified by their start time.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._entries: dict[str, dict[str, float]] = {}

    def add(self, name: str, pid: int, stop_signal: int) -> None:
        """Record a process that was just started."""
        with contextlib.suppress(psutil.NoSuchProcess):
            started = psutil.Process(pid).create_time()
            self._entries[name] = {"pid": pid, "created": started, "signal": stop_signal}
            self._write()

    def remove(self, name: str) -> None:
        """Remove a process that has ended."""
        if self._entries.pop(name, None) is not None:
            if self._entries:
                self._write()
            else:
                self._file.unlink(missing_ok=True)

    def end_leftovers(self) -> list[str]:
        """End what an earlier supervisor recorded and left running; return the names."""
        try:
            recorded = json.loads(self._file.read_text())
        except (FileNotFoundError, ValueError):
            return []
        running: dict[str, psutil.Process] = {}
        for name, entry in recorded.items():
            with contextlib.suppress(psutil.Error, OSError):
                process = psutil.Process(int(entry["pid"]))
                if abs(process.create_time() - entry["created"]) < _SAME_START_S:
                    process.send_signal(int(entry["signal"]))
                    running[name] = process
        _, alive = psutil.wait_procs(list(running.values()), timeout=_PATIENCE_S)
        for process in alive:
            kill_group(process.pid)
        psutil.wait_procs(alive, timeout=_PATIENCE_S)
        self._file.unlink(missing_ok=True)
        return sorted(running)

    def _write(self) -> None:
        with contextlib.suppress(OSError):
            write_json(self._file, self._entries)


def kill_group(pid: int) -> None:
    """Kill the process group of `pid`, if it still exists."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)
