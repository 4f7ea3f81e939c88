"""Programs of Kandle from a fork server: a bridge costs a third of the CPU to start.

Run as a module it is that server, with more modules loaded than that of `kandle up`.
"""

from __future__ import annotations

import atexit
import importlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import BinaryIO

from local.supervisor import fork_server
from local.supervisor.component import tethered

_ROOT = Path(__file__).parents[1]
_LOADED = (
    *("functions.exchange_bridge.connections.ccxt_connection", "functions.exchange_bridge.intake"),
    *("functions.exchange_bridge.past.resume_position", "functions.exchange_bridge.status"),
    *("functions.exchange_bridge.past.venue_history", "functions.exchange_bridge.settings"),
    *("local.broker.process", "ccxt.pro"),
)


class Forked:
    """A forked process with the interface of `subprocess.Popen`."""

    def __init__(self, replies: BinaryIO) -> None:
        self._replies = replies
        self.pid = int(self._line())
        self.returncode: int | None = None

    def poll(self) -> int | None:
        """Its exit code, None while it runs."""
        return self._end(0)

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end."""
        code = self._end(timeout)
        if code is None:
            assert timeout is not None
            raise subprocess.TimeoutExpired(str(self.pid), timeout)
        return code

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def _end(self, timeout: float | None) -> int | None:
        if self.returncode is None and select.select([self._replies], [], [], timeout)[0]:
            line = self._line()
            self._replies.close()
            self.returncode = os.waitstatus_to_exitcode(int(line)) if line else -signal.SIGKILL
        return self.returncode

    def _line(self) -> bytes:
        return self._replies.readline().strip()


def forked(
    module: str, arguments: Sequence[str], environment: Mapping[str, str], output: BinaryIO
) -> Forked:
    """Run `python -m module` in the root of the repository; it dies with this process."""
    request = fork_server.Request(
        *("test", module, list(arguments), dict(environment), str(_ROOT)), int(signal.SIGKILL)
    )
    reader, theirs = os.pipe()
    replies = os.fdopen(reader, "rb", 0)  # closing it again closes no other file
    packet = json.dumps(asdict(request)).encode()
    try:
        socket.send_fds(_server()[0], [packet], [output.fileno(), theirs])
    finally:
        os.close(theirs)
    return Forked(replies)


@cache
def _server() -> tuple[socket.socket, subprocess.Popen[bytes]]:
    control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs:
        process = subprocess.Popen(
            tethered([sys.executable, "-m", __name__, str(theirs.fileno())]),
            cwd=_ROOT,
            env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
            pass_fds=[theirs.fileno()],
        )
    atexit.register(process.wait)
    atexit.register(control.close)
    return control, process


if __name__ == "__main__":
    for each in _LOADED:
        importlib.import_module(each)
    fork_server.main()
