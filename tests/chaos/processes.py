"""The processes of a running `kandle up`: found, killed, paused and cut off from outside."""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import re
import signal
import socket
import subprocess
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import psutil

from local.instance import Instance
from local.servers.ports import free_port
from local.supervisor.component import tethered
from tests.platform import KANDLE, environment

_PIDFD_GETFD: Final = 438  # the same number on every architecture of Linux
_START_S: Final = 120.0


class Up:
    """A `kandle up` of its own, as a user starts it; it can be killed whole and restarted.

    `tree`: the checkout with its code, by default this one. `arguments`: additional ones.
    """

    def __init__(
        self, data_dir: Path, tree: Path | None = None, arguments: Sequence[str] = ()
    ) -> None:
        self.data_dir = data_dir
        self._tree = tree
        self._output = data_dir.with_name(data_dir.name + ".out")
        ports = (str(free_port()), str(free_port(socket.SOCK_DGRAM)))
        self._command = [*KANDLE, "up", "--data-dir", str(data_dir)]
        self._command += ["--http-port", ports[0], "--udp-port", ports[1], *arguments]
        self.start()
        self.env = Instance.load(data_dir).env

    def start(self) -> None:
        """Start it and wait for its ready line."""
        with self._output.open("w") as stream:
            self.process = subprocess.Popen(
                tethered(self._command, death_signal=signal.SIGTERM),
                cwd=self._tree,
                stdout=stream,
                stderr=subprocess.STDOUT,
                env=environment(),
            )
        deadline = time.monotonic() + _START_S
        while not re.search(r"^ready", self.output, re.MULTILINE):
            assert self.process.poll() is None, f"kandle up ended:\n{self.output}"
            assert time.monotonic() < deadline, f"not ready:\n{self.output}"
            time.sleep(0.1)

    @property
    def output(self) -> str:
        """Its output since the last start."""
        return self._output.read_text()

    def status(self) -> dict[str, Any]:
        """The status of `kandle status`; empty if there is none."""
        with contextlib.suppress(OSError, ValueError):
            found: dict[str, Any] = json.loads((self.data_dir / "run/status.json").read_text())
            return found
        return {}

    def names(self) -> list[str]:
        """The supervised components."""
        return sorted(self._record())

    def find(self, name: str) -> psutil.Process | None:
        """The current process of a component, if there is one."""
        with contextlib.suppress(KeyError, psutil.Error):
            entry = self._record()[name]
            process = psutil.Process(entry["pid"])
            if abs(process.create_time() - entry["created"]) < 2:
                return process
        return None

    def memory(self) -> dict[str, int]:
        """Resident bytes by component; a server's children count as the server."""
        names = {entry["pid"]: name for name, entry in self._record().items()}
        found: Counter[str] = Counter()
        # `children` of each component would read all processes of the machine each time
        for each in psutil.Process(self.process.pid).children(recursive=True):
            with contextlib.suppress(psutil.Error):
                parent = each.ppid()  # parents come before their children
                if name := names.setdefault(each.pid, names.get(parent, "")):
                    found[name] += each.memory_info().rss
        return dict(found)

    def stop(self) -> None:
        """Stop it."""
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def _record(self) -> dict[str, Any]:
        with contextlib.suppress(OSError, ValueError):
            found: dict[str, Any] = json.loads((self.data_dir / "run/processes.json").read_text())
            return found
        return {}


@contextlib.contextmanager
def up(keep: threading.Event, arguments: Sequence[str] = ()) -> Iterator[Up]:
    """Run the platform outside of the tree; its data are removed unless `keep` is set."""
    import shutil

    directory = Path(tempfile.mkdtemp(prefix="kandle-chaos-"))
    try:
        platform = Up(directory / "data", arguments=arguments)
        try:
            yield platform
        finally:
            platform.stop()
    finally:
        if not keep.is_set():
            shutil.rmtree(directory, ignore_errors=True)


def suspend(process: psutil.Process) -> list[psutil.Process]:
    """Stop a process and its children; return them for `resume`."""
    stopped = []
    with contextlib.suppress(psutil.Error):
        process.suspend()  # first, so that it starts no other
        stopped.append(process)
        for each in process.children(recursive=True):
            each.suspend()
            stopped.append(each)
    return stopped


def resume(stopped: list[psutil.Process]) -> None:
    """Continue those that were not killed meanwhile."""
    for each in reversed(stopped):
        with contextlib.suppress(psutil.Error):
            each.resume()


def cut(process: psutil.Process) -> int:
    """Cut the TCP connections of a process at any point.

    Its sockets are duplicated and shut down, as a broken network would end them. Linux only.
    Returns their number.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    count = 0
    with contextlib.suppress(psutil.Error, OSError):
        descriptor = os.pidfd_open(process.pid)
        try:
            for connection in process.net_connections("tcp"):
                if connection.status != psutil.CONN_ESTABLISHED:
                    continue
                borrowed = libc.syscall(_PIDFD_GETFD, descriptor, connection.fd, 0)
                if borrowed < 0:
                    continue
                with contextlib.suppress(OSError), socket.socket(fileno=borrowed) as sock:
                    sock.shutdown(socket.SHUT_RDWR)
                    count += 1
        finally:
            os.close(descriptor)
    return count
