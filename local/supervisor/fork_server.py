"""Fork server: runs `python -m MODULE` in a fork of this process, with common modules preloaded.

`fork_server.py SOCKET` reads one request per packet: JSON and two descriptors, the process's output
and a pipe that receives its process id, then its wait status, a line each. The module runs as the
main program of its own process and session. It shares the memory of the preloaded modules, and
starts with a third of the work. All forks die with this process. Linux only.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import importlib
import json
import os
import runpy
import select
import signal
import socket
import sys
from dataclasses import dataclass
from typing import Final

from local.supervisor.tether import PR_SET_PDEATHSIG

PRELOADED: Final = (
    *("aiohttp", "functions_framework.aio", "httpx", "nats", "numpy", "psycopg_pool"),
    *("prometheus_client", "stamina", "uvicorn.main", "uvloop"),
    *("uvicorn.lifespan.on", "uvicorn.loops.uvloop", "shared.adapter.bounded_http"),
    *("shared.adapter.wiring", "shared.alerts.rule", "shared.inputs.text.line"),
    *("shared.lake.reading.cold", "shared.market.calendar_timeframes", "shared.stores.postgres"),
    *("shared.stores.redis", "shared.wire.busts", "shared.wire.columns", "shared.wire.feed_status"),
)
"""Loaded before any fork: modules whose import starts no thread and reads no setting."""

MAX_REQUEST_BYTES: Final = 1 << 17
_PR_SET_NAME: Final = 15


@dataclass(frozen=True)
class Request:
    """A process to fork. `name`: as in `top`; `death_signal`: sent to it when we die."""

    name: str
    module: str
    arguments: list[str]
    environment: dict[str, str]
    directory: str
    death_signal: int


def serve(control: socket.socket) -> Request | None:
    """Fork requested processes until the other end closes; a fork returns its request."""
    pipes: dict[int, int] = {}
    wake, waker = os.pipe()
    os.set_blocking(waker, False)
    signal.set_wakeup_fd(waker)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    parent = os.getpid()
    while True:
        readable, _, _ = select.select([control.fileno(), wake], [], [])
        if wake in readable:
            os.read(wake, 4096)
            _report(pipes)
        if control.fileno() in readable:
            packet, descriptors, _, _ = socket.recv_fds(control, MAX_REQUEST_BYTES, 2)
            if not packet:
                return None
            output, pipe = descriptors
            pid = os.fork()
            if pid == 0:
                for each in (control.detach(), wake, waker, *pipes.values(), pipe):
                    os.close(each)
                request = Request(**json.loads(packet))
                _become(request, output, parent)
                return request
            os.close(output)
            pipes[pid] = pipe
            _send(pipe, pid)


def _report(pipes: dict[int, int]) -> None:
    """Report the wait status of each ended process to its requester."""
    while pipes:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if not pid:
            return
        pipe = pipes.pop(pid)
        _send(pipe, status)
        os.close(pipe)


def _send(pipe: int, number: int) -> None:
    with contextlib.suppress(BrokenPipeError):  # nobody waits any more
        os.write(pipe, b"%d\n" % number)


def _become(request: Request, output: int, parent: int) -> None:
    """Give this fork the state of a new process."""
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    os.setsid()
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(PR_SET_PDEATHSIG, request.death_signal, 0, 0, 0)
    libc.prctl(_PR_SET_NAME, request.name.encode(), 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)
    os.dup2(output, 1)
    os.dup2(output, 2)
    os.close(output)
    sys.stdout.reconfigure(write_through=True)  # type: ignore[union-attr]
    os.chdir(request.directory)
    os.environ.clear()
    os.environ.update(request.environment)
    sys.argv[1:] = request.arguments


def main() -> None:
    """Serve; in a fork, run its module."""
    for each in PRELOADED:
        importlib.import_module(each)
    gc.collect()
    gc.freeze()  # a collection would write to every object and unshare its memory
    request = serve(socket.socket(fileno=int(sys.argv[1])))
    if request is not None:
        runpy.run_module(request.module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
