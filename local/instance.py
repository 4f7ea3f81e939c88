"""The running instance as seen by other processes: `run/instance.json` and `run/status.json`.

The supervisor writes both, the commands read them. `instance.json` holds credentials, hence its
mode.
"""

from __future__ import annotations

import contextlib
import json
import os
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil

from local.errors import NotRunningError

DEFAULT_DATA_DIR = Path(".kandle")
DATA_DIR_VARIABLE = "KANDLE_DATA_DIR"
INSTANCE_SERVERS = "KANDLE_SERVERS"
"""Set by `kandle env`: host:port of each server that belongs to the instance it describes."""
_CLOCKS_DIFFER_S = 2.0


@dataclass(frozen=True)
class RunningComponent:
    """One process of the instance; `pid` is None while it waits to be restarted."""

    name: str
    kind: str
    pid: int | None
    url: str
    log: str


@dataclass(frozen=True)
class Instance:
    """Addresses and processes of a running platform.

    `env` holds what `kandle env` prints, `addresses` maps cluster host names to loopback URLs,
    `started_at` is ISO 8601 with an offset.
    """

    pid: int
    started_at: str
    data_dir: str
    env: dict[str, str] = field(repr=False)
    addresses: dict[str, str]
    components: list[RunningComponent]

    @classmethod
    def load(cls, data_dir: Path) -> Instance:
        """Load the instance running on `data_dir`.

        Raises NotRunningError: there is none, it is still starting, or its supervisor is gone.
        """
        try:
            record = json.loads(instance_path(data_dir).read_text())
        except FileNotFoundError:
            raise NotRunningError(_not_running(data_dir)) from None
        except (OSError, ValueError) as error:
            raise NotRunningError(f"{instance_path(data_dir)} is not readable: {error}") from None
        instance = cls(
            **{**record, "components": [RunningComponent(**each) for each in record["components"]]}
        )
        if not psutil.pid_exists(instance.pid):
            raise NotRunningError(_not_running(data_dir))
        return instance

    def write(self) -> None:
        """Save it for `load`, readable by its owner only."""
        write_json(instance_path(Path(self.data_dir)), asdict(self))


def instance_path(data_dir: Path) -> Path:
    """Path of the description of the instance on `data_dir`."""
    return data_dir / "run" / "instance.json"


def status_path(data_dir: Path) -> Path:
    """Path of the live status of the instance on `data_dir`, rewritten each second."""
    return data_dir / "run" / "status.json"


def load_status(data_dir: Path) -> dict[str, Any]:
    """Read the live status of the instance on `data_dir`; empty before the first sample."""
    with contextlib.suppress(FileNotFoundError):
        status: dict[str, Any] = json.loads(status_path(data_dir).read_text())
        return status
    return {}


def write_json(path: Path, value: object, mode: int = 0o600) -> None:
    """Atomically replace `path` by `value` as JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(f".{path.name}.new")
    new.unlink(missing_ok=True)
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "w") as file:
        json.dump(value, file, indent=2)
        file.write("\n")
    new.replace(path)


def lock_path(data_dir: Path) -> Path:
    """Path of the lock of the instance on `data_dir`: `{"pid": int, "since": ISO 8601}`."""
    return data_dir / "lock"


def _not_running(data_dir: Path) -> str:
    if (holder := _starting(data_dir)) is not None:
        pid, since = holder
        return (
            f"the instance on {data_dir} is starting since {since} (process {pid}): "
            "try again when it says that it is ready"
        )
    return f"nothing runs on {data_dir}: start it with `kandle up --data-dir {data_dir}`"


def _starting(data_dir: Path) -> tuple[int, str] | None:
    """Return the process that holds the lock, and since when; None without one.

    The lock itself is not tried, which could interfere with a start.
    """
    try:
        holder = json.loads(lock_path(data_dir).read_text())
        pid, since = int(holder["pid"]), datetime.fromisoformat(holder["since"])
        created_s = psutil.Process(pid).create_time()
    except (OSError, ValueError, KeyError, TypeError, psutil.Error):
        return None
    # A stale file of a killed holder may contain the reused pid of another process.
    is_holder = created_s <= since.timestamp() + _CLOCKS_DIFFER_S
    return (pid, str(holder["since"])) if is_holder else None


def host_port(url: str) -> str:
    """Host and port of a URL, without its credentials."""
    return urlsplit(url).netloc.rpartition("@")[2]
