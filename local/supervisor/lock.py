"""The lock on a data directory: one instance at a time."""

from __future__ import annotations

import fcntl
import json
import os
from datetime import UTC, datetime
from pathlib import Path

from local.errors import InUseError
from local.instance import lock_path


class DirectoryLock:
    """An exclusive lock on `<data-dir>/lock`, released by the system when the holder dies."""

    def __init__(self, data_dir: Path) -> None:
        self._data_dir = data_dir
        self._path = lock_path(data_dir)
        self._descriptor: int | None = None

    def acquire(self) -> None:
        """Take the lock. Raises InUseError with the holder's process id and start."""
        while self._descriptor is None:
            descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(descriptor)
                raise InUseError(self._in_use()) from None
            if self._is_current(descriptor):
                self._descriptor = descriptor
            else:  # removed by its holder between open and flock
                os.close(descriptor)
        holder = {"pid": os.getpid(), "since": datetime.now(UTC).isoformat(timespec="seconds")}
        os.ftruncate(self._descriptor, 0)
        os.pwrite(self._descriptor, json.dumps(holder).encode(), 0)

    def release(self) -> None:
        """Remove the file and free the lock."""
        if self._descriptor is not None:
            self._path.unlink(missing_ok=True)
            os.close(self._descriptor)
            self._descriptor = None

    def _is_current(self, descriptor: int) -> bool:
        try:
            return os.path.samestat(os.fstat(descriptor), self._path.stat())
        except FileNotFoundError:
            return False

    def _in_use(self) -> str:
        try:
            holder = json.loads(self._path.read_text())
            by = f"by process {holder['pid']} since {holder['since']}"
        except (OSError, ValueError, KeyError):
            by = "by another process that is just starting"
        return (
            f"the data directory {self._data_dir} is in use {by}: "
            "stop that instance, or give this one another --data-dir"
        )
