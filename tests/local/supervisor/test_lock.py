from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from local.errors import InUseError, NotRunningError
from local.instance import Instance
from local.supervisor.lock import DirectoryLock


def test_one_holder_at_a_time(tmp_path: Path) -> None:
    """A second holder is refused with the first one's process and start, until its release."""
    first, second = DirectoryLock(tmp_path), DirectoryLock(tmp_path)
    first.acquire()
    with pytest.raises(InUseError, match=f"in use by process {os.getpid()} since 20"):
        second.acquire()
    first.release()
    second.acquire()
    second.release()
    assert not (tmp_path / "lock").exists()


def test_a_file_without_a_holder_is_no_lock(tmp_path: Path) -> None:
    """The lock file of a killed holder does not prevent a start."""
    (tmp_path / "lock").write_text('{"pid": 1, "since": "2020-01-01"}')
    lock = DirectoryLock(tmp_path)
    lock.acquire()
    lock.release()


def test_an_instance_that_is_starting_is_told_from_none(tmp_path: Path) -> None:
    """An instance is starting between its lock and instance.json; an old lock file is none."""
    lock = DirectoryLock(tmp_path)
    lock.acquire()
    with pytest.raises(NotRunningError, match=f"is starting since 20.* .process {os.getpid()}.:"):
        Instance.load(tmp_path)
    lock.release()
    with pytest.raises(NotRunningError, match="nothing runs on"):
        Instance.load(tmp_path)
    stale = {"pid": os.getpid(), "since": "2020-01-01T00:00:00+00:00"}
    (tmp_path / "lock").write_text(json.dumps(stale))
    with pytest.raises(NotRunningError, match="nothing runs on"):
        Instance.load(tmp_path)
